"""Bayesian linear model of IoU: effects of attentions at their locations, in pairs and with seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.images import Array

Numbers = NDArray[np.int64]
Codes = NDArray[np.int64]
"""(n, L): number of the attention of each placement at each location; 0 is ``none``."""
Pairs = tuple[Numbers, ...]
"""Rows and columns of a matrix, as of ``numpy.ix_``."""
Choice = tuple[int, int]
"""Number of a location, and code of the attention there."""

LEVEL_VARIANCE = 100.0
"""Prior variance of the level, and of each seed's effect on all placements. It is wide."""
SHOWN = ("common", "kind", "location", "pair", "rest", "by_seed")
"""Parts that a short run shows scaled by its gain factor."""
PARTS = (*SHOWN, "noise")
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Short:
    """How the runs of a rung below the top relate to the top, for scores of variance 1.

    Args:
        gain: factor by which a placement's value at the top appears on this rung.
        bias: variance of attention effects that appear on this rung with every seed, but not at the top: a module
            that disturbs trained weights, or learns slowly.
        noise: variance of one run.
    """

    gain: float = 0.7
    bias: float = 0.3
    noise: float = 0.4


@dataclass(frozen=True)
class Variances:
    """How much each part explains in a placement that attends everywhere, for scores of variance 1.

    The defaults are the middle of ``USUAL``.

    Args:
        common: gain that every placement with attention has, whichever attention and wherever.
        kind: effects of the attentions, wherever they stand.
        location: effects of the attentions at their own locations.
        pair: all pairs together.
        rest: what a placement has by itself, beyond its attentions and their pairs.
        by_seed: effects of the attentions at their own locations under one seed and not under others.
        noise: one run of the top budget.
        short: rungs below the top, the longest first.
    """

    common: float = 0.002
    kind: float = 0.2
    location: float = 0.3
    pair: float = 0.2
    rest: float = 0.05
    by_seed: float = 0.1
    noise: float = 0.4
    short: tuple[Short, ...] = ()

    def gains(self, rungs: Numbers) -> Array:
        """Factor by which each run shows its placement, (n,)."""
        return np.array([1.0, *(rung.gain for rung in self.short)])[rungs]

    def noises(self, rungs: Numbers) -> Array:
        """Variance of each run's own noise, (n,)."""
        return np.array([self.noise, *(rung.noise for rung in self.short)])[rungs]

    def biases(self, rungs: Numbers) -> Array:
        """Variance of the attention effects that appear only on each run's rung, (n,)."""
        return np.array([0.0, *(rung.bias for rung in self.short)])[rungs]


@dataclass(frozen=True, eq=False)
class Prior:
    """Prior of the variances: their logarithms are normal around a middle.

    Single runs cannot distinguish a rest from noise, and a single seed cannot distinguish luck from effects.
    Without a prior, these variances could be estimated as everything or nothing.

    Args:
        middle: the most likely variances.
        own: expected usual variance of all own effects together; the density of that variance peaks at twelve
            times this value.
        at_milestones: whether the variances are learned again only when the number of runs has grown by half,
            because a search needs them after every run.
        log_sds: standard deviations of the logarithm of each part's variance, and of a gain, unless they are wide.
        beside_noise: parts whose middle is relative to the noise, whatever the noise is. If few attentions are
            worth ten times the noise, scores spread so far that a small share of their variance exceeds the
            noise. The scatter of the runs would then count as effects of placements themselves, and the
            luckiest placements would look better than they are.
    """

    middle: Variances
    own: float
    at_milestones: bool
    log_sds: Mapping[str, float]
    beside_noise: tuple[str, ...] = ()


_NARROW = {"by_seed": 1.5, "rest": 1.5, "gain": 0.75, "bias": 1.5}
USUAL = Prior(Variances(), own=0.3, at_milestones=True, log_sds=_NARROW)
"""Prior for the effects that are reported and from which proposals are drawn."""
SCEPTICAL = Prior(
    Variances(common=0.002, kind=0.024, location=0.05, pair=0.008, rest=0.008, by_seed=0.1, noise=0.8),
    own=0.001,
    at_milestones=False,
    log_sds={**_NARROW, "rest": 3.0, "pair": 3.0},
    beside_noise=("kind", "pair", "rest", "by_seed"),
)
"""Prior for the gains that are ranked and bounded: attentions do little until runs show otherwise. The reported
gain of the best of many placements must not reflect the hope of a prior, and a study in which nothing matters
must be able to say so."""
IMAGES = Prior(
    Variances(common=0.002, kind=0.03, location=0.05, pair=0.03, noise=0.8),
    own=0.001,
    at_milestones=False,
    log_sds={},
)
"""Prior for the contribution of the images that happen to be in the set."""
NOTHING = Variances(common=0.0, kind=0.0, location=0.0, pair=0.0, rest=0.0, by_seed=0.0, noise=0.0)


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs that the model learns from::

        score = level + seed + gain * (placement + sum of luck(seed, location, attention))
                + sum of bias(rung, location, attention) + noise
        placement = common + sum of effect(location, attention) + sum of pair(location, attention, ...)
                    + rest(placement); 0 for the plain U-Net
        effect(location, attention) = kind(attention) + own(location, attention)

    - ``common`` is the gain that all placements with attention share: it covers the case that any attention helps
      as much as several.
    - ``luck`` is the effect of an attention under one seed and not under others, in all placements that have it.
      Only further seeds average it out, not further placements.
    - ``bias`` is the error of short runs about an attention. Only long runs reveal it.
    - At the top, gain is 1 and bias is 0. On a rung below, both are learned from the runs: two autoregressive
      levels of fidelity as in Kennedy and O'Hagan (2000, Biometrika 87(1)), with an additive discrepancy.
    - All terms are normal around 0 except the own effects. Each own effect is next to nothing, usual or large
      (``own_effects``), so that a few that matter are not shrunk like many that do not.

    The posterior ignores why a placement was tried. A search chooses its trials by earlier scores and by nothing
    else related to the effects. So the probability of its choices is a factor of the likelihood that does not
    contain the effects, and it cancels (the likelihood principle: Berger and Wolpert 1988; Rubin 1976,
    doi:10.1093/biomet/63.3.581). Least squares on the same trials is biased, because a placement that began
    unluckily is never tried again.

    Args:
        codes: (n, L) attention at each location; 0 is ``none``.
        seeds: (n,) number of each run's seed, from 0; different on each rung, because luck differs there.
        rungs: (n,) 0 for a run of the top budget, 1 for one of the budget below it, and so on.
        scores: (n,) about 0 with a spread of about 1 on each rung.
        doubts: (n,) additional noise variance of each run, for a run whose low score may be a collapse or may
            be the placement's true value.
    """

    codes: Codes
    seeds: Numbers
    rungs: Numbers
    scores: Array
    doubts: Array

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Runs) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    @cached_property
    def _bytes(self) -> tuple[object, ...]:
        """Key by which a cache finds equal runs."""
        return self.codes.shape, *(getattr(self, field.name).tobytes() for field in fields(self))

    def first(self, number: int) -> Runs:
        """The earliest ``number`` runs."""
        return Runs(*(getattr(self, field.name)[:number] for field in fields(self)))

    def without(self, number: int) -> Runs:
        """All but the earliest ``number`` runs."""
        return Runs(*(getattr(self, field.name)[number:] for field in fields(self)))

    @property
    def unscored(self) -> Runs:
        """The same runs with all scores 0."""
        return replace(self, scores=np.zeros(len(self.scores)))

    def holds(self, choices: Sequence[Choice]) -> Array:
        """Which runs have which attentions at their locations, (n, p) of 0 and 1."""
        return holds(self.codes, choices)

    @property
    def n_locations(self) -> int:
        """L."""
        return int(self.codes.shape[1])


def holds(codes: Codes, choices: Sequence[Choice]) -> Array:
    """Which placements have which choices, (m, p) of 0 and 1."""
    held = [codes[:, location] == code for location, code in choices]
    return np.stack(held, axis=1).astype(float) if held else np.zeros((len(codes), 0))


def choices_of(codes: Codes) -> list[Choice]:
    """All attentions in the placements, with their locations."""
    columns = enumerate(codes.T.tolist())
    return [(location, code) for location, column in columns for code in sorted({*column} - {0})]


def gain_kernels(codes: Codes, others: Codes) -> dict[str, Array]:
    """Covariance between the gains of two sets of placements by each part alone, for a variance of 1.

    The plain U-Net gains nothing, so its covariances are 0.

    Args:
        codes: (m, L).
        others: (n, L).
    Returns:
        name of the part to covariances, each (m, n).
    """
    n_locations = codes.shape[1]
    shared = np.zeros((len(codes), len(others)))
    equal = np.ones((len(codes), len(others)), dtype=bool)
    for location in range(n_locations):
        same = codes[:, location, None] == others[:, location]
        shared += same & (others[:, location] > 0)
        equal &= same
    most = max(codes.max(initial=0), others.max(initial=0))
    counts, theirs = (
        np.stack([(held == code).sum(1) for code in range(1, most + 2)], axis=1, dtype=float)
        for held in (codes, others)
    )
    attends = np.outer(codes.any(1), others.any(1))
    return {
        "common": attends.astype(float),
        "kind": counts @ theirs.T / n_locations,
        "location": shared / n_locations,
        "pair": shared * (shared - 1) / 2 / n_pairs(n_locations),
        "rest": (equal & attends).astype(float),
    }


def gain_covariance(codes: Codes, others: Codes, variances: Variances) -> Array:
    """Covariance between the gains of two sets of placements, (m, n); computed in blocks of rows to save
    memory."""
    total = np.zeros((len(codes), len(others)))
    for start in range(0, len(codes), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        for name, kernel in gain_kernels(codes[rows], others).items():
            total[rows] += getattr(variances, name) * kernel
    return total


def n_pairs(n_locations: int) -> float:
    """Number of pairs of locations; at least 1."""
    return max(1.0, n_locations * (n_locations - 1) / 2)


@dataclass(frozen=True, eq=False)
class Kernels:
    """Covariance of the scores of m runs with those of n by each part alone, for a variance of 1, without noise.

    Args:
        parts: contribution of each of ``SHOWN`` at the top, (6, m, n).
        level: contribution of the level and of each seed's effect on all placements, (m, n).
        rungs: of the m runs, (m,).
        others: rungs of the n runs, (n,).
        doubts: additional noise variance of the m runs, (m,).
    """

    parts: Array
    level: Array
    rungs: Numbers
    others: Numbers
    doubts: Array

    @classmethod
    def of(cls, runs: Runs, others: Runs | None = None) -> Kernels:
        """Kernels of the runs with the others, or with themselves if no others are given."""
        others = runs if others is None else others
        parts = gain_kernels(runs.codes, others.codes)
        same_seed = runs.seeds[:, None] == others.seeds
        parts["by_seed"] = same_seed * parts["location"]
        stacked = np.stack([parts[name] for name in SHOWN])
        return cls(stacked, LEVEL_VARIANCE * (1.0 + same_seed), runs.rungs, others.rungs, runs.doubts)

    def some(self, runs: Sequence[int]) -> Kernels:
        """Kernels of some of the runs with themselves."""
        some = np.ix_(runs, runs)
        parts = self.parts[:, some[0], some[1]]
        return Kernels(parts, self.level[some], self.rungs[runs], self.others[runs], self.doubts[runs])

    def shown(self, variances: Variances, known: Variances = NOTHING) -> Array:
        """Covariance of the placements' gains and luck as the runs show them, (m, n)."""
        weights = [getattr(variances, part) + getattr(known, part) for part in SHOWN]
        total: Array = np.tensordot(weights, self.parts, 1)
        if variances.short:
            total *= np.outer(variances.gains(self.rungs), variances.gains(self.others))
        return total

    @cached_property
    def by_rung(self) -> dict[int, tuple[Pairs, Array]]:
        """For each rung below the top that has runs, its pairs of runs and the covariance that they share only
        there."""
        numbers = {*self.rungs.tolist(), *self.others.tolist()} - {0}
        pairs = {rung: np.ix_(self.rungs == rung, self.others == rung) for rung in sorted(numbers)}
        return {rung: (one, self.parts[SHOWN.index("location")][one]) for rung, one in pairs.items()}

    def covariance(self, variances: Variances, known: Variances = NOTHING) -> Array:
        """Covariance of the scores without their noise, (m, n).

        Args:
            variances: of the parts.
            known: variances to add.
        """
        total = self.level + self.shown(variances, known)
        for rung, (pairs, shared) in self.by_rung.items():
            total[pairs] += variances.short[rung - 1].bias * shared
        return total


def covariance_of(kernels: Kernels, variances: Variances, known: Variances = NOTHING) -> Array:
    """Covariance of the scores of n runs, (n, n)."""
    total = kernels.covariance(variances, known)
    total[np.diag_indices_from(total)] += variances.noises(kernels.rungs) + kernels.doubts + known.noise
    return total
