"""A Bayesian linear model of IoU: what attentions add at their locations, in pairs and with seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.images import Array

Numbers = NDArray[np.int64]
Codes = NDArray[np.int64]
"""(n, L): for each placement and location the number of its attention; 0 is ``none``."""
Pairs = tuple[Numbers, ...]
"""Rows and columns of a matrix, as of ``numpy.ix_``."""
Choice = tuple[int, int]
"""Number of a location, and code of the attention there."""

LEVEL_VARIANCE = 100.0
"""Of the level, and of each seed's effect on all placements: wide."""
SHOWN = ("common", "kind", "location", "pair", "rest", "by_seed")
"""Parts that a short run shows more or less of."""
PARTS = (*SHOWN, "noise")
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Short:
    """What the runs of a rung below the top show, for scores of variance 1.

    Args:
        gain: factor of what the top shows of a placement.
        bias: variance of what attentions add on this rung, with every seed, and not at the top: a module that
            disturbs trained weights, or learns slowly.
        noise: of one run.
    """

    gain: float = 0.7
    bias: float = 0.3
    noise: float = 0.4


@dataclass(frozen=True)
class Variances:
    """How much each part explains in a placement that attends everywhere, for scores of variance 1.

    By default the middle of ``USUAL``.

    Args:
        common: of what every placement with attention gains, whichever and wherever.
        kind: of the attentions, wherever they stand.
        location: of the attentions at their own locations.
        pair: of all pairs together.
        rest: of what a placement has by itself, beyond its attentions and their pairs.
        by_seed: of what the attentions at their own locations add under one seed and not under others.
        noise: of one run of the top budget.
        short: of the rungs below the top, the longest first.
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
        """By which each run shows its placement, (n,)."""
        return np.array([1.0, *(rung.gain for rung in self.short)])[rungs]

    def noises(self, rungs: Numbers) -> Array:
        """Of each run's own noise, (n,)."""
        return np.array([self.noise, *(rung.noise for rung in self.short)])[rungs]

    def biases(self, rungs: Numbers) -> Array:
        """Of what each run's attentions add on its rung only, (n,)."""
        return np.array([0.0, *(rung.bias for rung in self.short)])[rungs]


@dataclass(frozen=True, eq=False)
class Prior:
    """What to expect of the variances before the runs: their logarithms are normal around a middle.

    Single runs cannot tell a rest from noise, nor a single seed luck from effects: without a prior these might be
    all or nothing.

    Args:
        middle: the most likely ones.
        own: of all own effects together; the density of their usual variance is highest at twelve times that.
        at_milestones: the variances are learned anew only when the runs have grown by half, since a search asks
            after each of them.
        log_sds: standard deviations of the logarithm of each part's variance, and of a gain, where these are not
            wide.
        beside_noise: parts of which the middle says how large they are beside the noise, whatever that is. Where
            few attentions are worth ten times the noise, scores spread so far that a small share of their
            variance is larger than the noise: what runs scatter then passes for what placements have by
            themselves, and the luckiest of them for better than it is.
    """

    middle: Variances
    own: float
    at_milestones: bool
    log_sds: Mapping[str, float]
    beside_noise: tuple[str, ...] = ()


_NARROW = {"by_seed": 1.5, "rest": 1.5, "gain": 0.75, "bias": 1.5}
USUAL = Prior(Variances(), own=0.3, at_milestones=True, log_sds=_NARROW)
"""Of the effects that are told, and of those that proposals are drawn from."""
SCEPTICAL = Prior(
    Variances(common=0.002, kind=0.024, location=0.05, pair=0.008, rest=0.008, by_seed=0.1, noise=0.8),
    own=0.001,
    at_milestones=False,
    log_sds={**_NARROW, "rest": 3.0, "pair": 3.0},
    beside_noise=("kind", "pair", "rest", "by_seed"),
)
"""Of the gains that are ranked and bounded: attentions do little, until runs say otherwise. What is reported of
the first of many is not to be what a prior hoped for, and a study in which nothing matters is to say so."""
IMAGES = Prior(
    Variances(common=0.002, kind=0.03, location=0.05, pair=0.03, noise=0.8),
    own=0.001,
    at_milestones=False,
    log_sds={},
)
"""Of what the images that happen to be in the set give."""
NOTHING = Variances(common=0.0, kind=0.0, location=0.0, pair=0.0, rest=0.0, by_seed=0.0, noise=0.0)


@dataclass(frozen=True, eq=False)
class Runs:
    """What the model learns from::

        score = level + seed + gain * (placement + sum of luck(seed, location, attention))
                + sum of bias(rung, location, attention) + noise
        placement = common + sum of effect(location, attention) + sum of pair(location, attention, ...)
                    + rest(placement); 0 for the plain U-Net
        effect(location, attention) = kind(attention) + own(location, attention)

    What is common to all placements with attention tells that it does not matter which and where, as where any
    attention helps as much as several. The luck of an attention with a seed is what all placements that hold it
    show under this seed and not under others: only further seeds average it out, not further placements. What the
    short runs of a rung hold for or against an attention (bias) only long runs tell. At the top gain is 1 and bias
    0; on a rung below it they are found from the runs: two autoregressive levels of fidelity, as in Kennedy and
    O'Hagan (2000, Biometrika 87(1)), with an additive discrepancy. All terms are normal around 0 but the own
    effects, each of which is next to nothing, usual or large (``own_effects``), so that a few that matter are not
    shrunken like many that do not.

    The posterior does not ask why a placement was tried. A search chooses its trials by the scores before them and
    by nothing else that bears on the effects, so the probability of its choices is a factor of the likelihood
    that does not hold the effects, and cancels (the likelihood principle: Berger and Wolpert 1988; Rubin 1976,
    doi:10.1093/biomet/63.3.581). Least squares on the same trials is biased: what began unluckily is never
    tried again.

    Args:
        codes: (n, L) attention at each location; 0 is ``none``.
        seeds: (n,) number of each run's seed, from 0; another one on each rung, since it brings other luck.
        rungs: (n,) 0 for a run of the top budget, 1 for one of the budget below it, and so on.
        scores: (n,) about 0 with a spread of about 1 on each rung.
        doubts: (n,) variance that each run's noise has on top: of one that may have collapsed, or be what its
            placement is worth.
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
        """By which equal runs are found again in a cache."""
        return self.codes.shape, *(getattr(self, field.name).tobytes() for field in fields(self))

    def first(self, number: int) -> Runs:
        """The earliest of the runs."""
        return Runs(*(getattr(self, field.name)[:number] for field in fields(self)))

    def without(self, number: int) -> Runs:
        """All but the earliest."""
        return Runs(*(getattr(self, field.name)[number:] for field in fields(self)))

    @property
    def unscored(self) -> Runs:
        """The same with a score of 0 each."""
        return replace(self, scores=np.zeros(len(self.scores)))

    def holds(self, choices: Sequence[Choice]) -> Array:
        """Which runs hold which attentions at their locations, (n, p) of 0 and 1."""
        return holds(self.codes, choices)

    @property
    def n_locations(self) -> int:
        """L."""
        return int(self.codes.shape[1])


def holds(codes: Codes, choices: Sequence[Choice]) -> Array:
    """Which placements hold which choices, (m, p) of 0 and 1."""
    held = [codes[:, location] == code for location, code in choices]
    return np.stack(held, axis=1).astype(float) if held else np.zeros((len(codes), 0))


def choices_of(codes: Codes) -> list[Choice]:
    """All attentions that placements hold, with their locations."""
    columns = enumerate(codes.T.tolist())
    return [(location, code) for location, column in columns for code in sorted({*column} - {0})]


def gain_kernels(codes: Codes, others: Codes) -> dict[str, Array]:
    """Covariance of the gains of placements with those of others by each part alone, for a variance of 1.

    The plain U-Net gains nothing, so it varies with nothing.

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
    """Of the gains of placements with those of others, (m, n); some rows at a time, to save memory."""
    total = np.zeros((len(codes), len(others)))
    for start in range(0, len(codes), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        for name, kernel in gain_kernels(codes[rows], others).items():
            total[rows] += getattr(variances, name) * kernel
    return total


def n_pairs(n_locations: int) -> float:
    """How many pairs of locations there are; at least 1."""
    return max(1.0, n_locations * (n_locations - 1) / 2)


@dataclass(frozen=True, eq=False)
class Kernels:
    """Covariance of the scores of m runs with those of n by each part alone, for a variance of 1, without noise.

    Args:
        parts: what each of ``SHOWN`` gives at the top, (6, m, n).
        level: with what each seed adds to all, (m, n).
        rungs: of the m runs, (m,).
        others: rungs of the n runs, (n,).
        doubts: variance that the noise of the m runs has on top, (m,).
    """

    parts: Array
    level: Array
    rungs: Numbers
    others: Numbers
    doubts: Array

    @classmethod
    def of(cls, runs: Runs, others: Runs | None = None) -> Kernels:
        """Of runs with others; with themselves where none are given."""
        others = runs if others is None else others
        parts = gain_kernels(runs.codes, others.codes)
        same_seed = runs.seeds[:, None] == others.seeds
        parts["by_seed"] = same_seed * parts["location"]
        stacked = np.stack([parts[name] for name in SHOWN])
        return cls(stacked, LEVEL_VARIANCE * (1.0 + same_seed), runs.rungs, others.rungs, runs.doubts)

    def some(self, runs: Sequence[int]) -> Kernels:
        """Those among some of the runs."""
        some = np.ix_(runs, runs)
        parts = self.parts[:, some[0], some[1]]
        return Kernels(parts, self.level[some], self.rungs[runs], self.others[runs], self.doubts[runs])

    def shown(self, variances: Variances, known: Variances = NOTHING) -> Array:
        """What the runs show of their placements and their luck, (m, n)."""
        weights = [getattr(variances, part) + getattr(known, part) for part in SHOWN]
        total: Array = np.tensordot(weights, self.parts, 1)
        if variances.short:
            total *= np.outer(variances.gains(self.rungs), variances.gains(self.others))
        return total

    @cached_property
    def by_rung(self) -> dict[int, tuple[Pairs, Array]]:
        """Of each rung below the top that has runs, which pairs are of it, and what they share there alone."""
        numbers = {*self.rungs.tolist(), *self.others.tolist()} - {0}
        pairs = {rung: np.ix_(self.rungs == rung, self.others == rung) for rung in sorted(numbers)}
        return {rung: (one, self.parts[SHOWN.index("location")][one]) for rung, one in pairs.items()}

    def covariance(self, variances: Variances, known: Variances = NOTHING) -> Array:
        """Of the scores without their noise, (m, n).

        Args:
            variances: of the parts.
            known: variances that come on top.
        """
        total = self.level + self.shown(variances, known)
        for rung, (pairs, shared) in self.by_rung.items():
            total[pairs] += variances.short[rung - 1].bias * shared
        return total


def covariance_of(kernels: Kernels, variances: Variances, known: Variances = NOTHING) -> Array:
    """Of the scores of n runs, (n, n)."""
    total = kernels.covariance(variances, known)
    total[np.diag_indices_from(total)] += variances.noises(kernels.rungs) + kernels.doubts + known.noise
    return total
