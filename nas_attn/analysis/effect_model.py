"""A Bayesian linear model of IoU: what each attention adds at each location, and what pairs of them add."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.optimize
from numpy.typing import NDArray

from nas_attn.analysis.images import Array
from nas_attn.analysis.local_scales import Draw, EffectEvidence, local_scales

Codes = NDArray[np.int64]
Choice = tuple[int, int]
"""Number of a location, and code of the attention there."""
Setting = Choice
"""A location that holds one attention, or with code 0 none, in all placements of an average."""
Estimate = tuple[float, float]
"""Mean and standard deviation."""

MOST_RUNS = 1500
"""Of more runs the earliest are taken: time grows with the cube of their number."""
_MOST_FOR_VARIANCES = 400
LEVEL_VARIANCE = 100.0
"""Of the level, and of each seed's effect on all placements: wide."""
PRIOR_LOG_SDS = np.array([4.0, 4.0, 4.0, 1.5, 1.5, 4.0])
"""Of each part's variance. Single runs cannot tell a rest from noise, nor a single seed luck from effects:
without a prior these might be all or nothing."""
_MOST_LOG = 9.0
PARTS = ("kind", "location", "pair", "rest", "by_seed", "noise")
_OTHERS = tuple(name for name in PARTS if name != "location")
_STEP, _DRAWS, _MOST_PARTS = 1.0, 128, 16


@dataclass(frozen=True)
class Variances:
    """How much each part explains in a placement that attends everywhere, for scores of variance 1.

    Args:
        kind: of the attentions, wherever they stand.
        location: of the attentions at their own locations.
        pair: of all pairs together.
        rest: of what a placement has by itself, beyond its attentions and their pairs.
        by_seed: of what the attentions at their own locations add under one seed and not under others.
        noise: of one run.
    """

    kind: float = 0.2
    location: float = 0.3
    pair: float = 0.2
    rest: float = 0.05
    by_seed: float = 0.1
    noise: float = 0.4


NOTHING = Variances(kind=0.0, location=0.0, pair=0.0, rest=0.0, by_seed=0.0, noise=0.0)


@dataclass(frozen=True, eq=False)
class Runs:
    """What the model learns from.

    Args:
        codes: (n, L) attention at each location; 0 is ``none``.
        seeds: (n,) number of each run's seed, from 0.
        scores: (n,) about 0 with a spread of about 1.
        n_choices: (L,) how many attentions each location may hold, ``none`` included.
    """

    codes: Codes
    seeds: NDArray[np.int64]
    scores: Array
    n_choices: tuple[int, ...]

    def first(self, number: int) -> Runs:
        """The earliest of the runs."""
        return Runs(self.codes[:number], self.seeds[:number], self.scores[:number], self.n_choices)

    def holds(self, choice: Choice) -> Array:
        """Which runs have an attention at a location, (n,) of 0 and 1."""
        location, code = choice
        held: Array = (self.codes[:, location] == code).astype(float)
        return held

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All attentions that the runs hold."""
        columns = enumerate(self.codes.T.tolist())
        return tuple((location, code) for location, column in columns for code in sorted({*column} - {0}))


@dataclass(frozen=True, eq=False)
class EffectModel:
    """The posterior, given some runs::

        score = level + seed + gain(placement) + sum of luck(seed, location, attention) + noise
        gain(placement) = sum of effect(location, attention) + sum of pair(location, attention, ...)
                          + rest(placement)
        effect(location, attention) = kind(attention) + own(location, attention)

    The luck of an attention with a seed is what all placements that hold it show under this seed and not under
    others: only further seeds average it out, not further placements. All terms are normal around 0. Their
    variances are not known either: the posterior is a mixture over those that are likely given the runs. Each own
    effect has one of its own, next to nothing, usual or large, so that a few effects that matter are not shrunken
    like many that do not, nor these told as if they were like the few (``local_scales``).

    The posterior does not ask why a placement was tried. A search chooses its trials by the scores before them and
    by nothing else that bears on the effects, so the probability of its choices is a factor of the likelihood
    that does not hold the effects, and cancels (the likelihood principle: Berger and Wolpert 1988; Rubin 1976,
    doi:10.1093/biomet/63.3.581). Least squares on the same trials is biased: what began unluckily is never
    tried again.

    Args:
        runs: what it has learned from.
        parts: the posterior without own effects for each likely set of variances.
        draws: of the variances of the own effects of all choices that the runs hold.
    """

    runs: Runs
    parts: tuple[_Part, ...]
    draws: tuple[Draw, ...]

    @classmethod
    def learn(cls, runs: Runs) -> EffectModel:
        """The posterior of the earliest ``MOST_RUNS`` runs."""
        taken = runs.first(MOST_RUNS)
        likely = _likely_variances(taken.first(_MOST_FOR_VARIANCES))
        kernels = score_kernels(taken)
        nothing = dict.fromkeys(taken.choices, 0.0)
        parts = tuple(
            _Part(taken, variances, nothing, cholesky(covariance_of(kernels, replace(variances, location=0.0))))
            for variances in likely
        )
        if not taken.choices:
            return cls(taken, parts, ())
        evidence = [part.evidence(weight) for part, weight in zip(parts, likely.values(), strict=True)]
        n_locations = len(taken.n_choices)
        start = parts[0].variances.location / n_locations
        return cls(taken, parts, local_scales(evidence, Variances().location / n_locations, start))

    def added(self, choices: Sequence[Choice]) -> list[Estimate]:
        """What each attention adds, compared with none at its location.

        It is the average over placements that draw each other location's attention evenly from its choices.

        Args:
            choices: the attentions.
        """
        if not choices:
            return []
        reaches = {number: self.parts[number].reach(choices) for number in {draw.part for draw in self.draws}}
        given = [reaches[draw.part].given(draw) for draw in self.draws]
        means, variances = (np.stack(rows) for rows in zip(*given, strict=True))
        deviations = np.sqrt(variances.mean(0) + means.var(0))
        return list(zip(means.mean(0).tolist(), deviations.tolist(), strict=True))

    def pairs(self, choices: Sequence[tuple[Choice, Choice]]) -> list[Estimate]:
        """What two attentions add beyond the sum of both, by the likeliest variances alone.

        Args:
            choices: pairs at different locations.
        """
        if not choices:
            return []
        together = np.stack([self.runs.holds(one) * self.runs.holds(other) for one, other in choices], axis=1)
        return self._likeliest.pairs(together)

    def beside(self, choice: Choice, other: Choice) -> tuple[Estimate, Estimate]:
        """What an attention adds where another's location has none, and what it adds beside the other.

        Their pair may matter as much as a single effect here: shrunken like all pairs, it would hide that the one
        adds nothing beside the other.
        """
        likeliest = self._likeliest
        together = (self.runs.holds(choice) * self.runs.holds(other))[:, None]
        louder, more = likeliest.with_loud_pair(together)
        alone = louder.posterior(*likeliest.single([choice], (other[0], 0)))[0]
        covariance, prior = likeliest.single([choice], other)
        return alone, louder.posterior(covariance + more * together, prior + more)[0]

    @cached_property
    def _likeliest(self) -> _Part:
        """With the set of variances that most draws have, and the mean variance of each own effect."""
        part = self.parts[Counter(draw.part for draw in self.draws).most_common(1)[0][0]]
        return part.with_own(np.mean([draw.variances for draw in self.draws], axis=0))


@dataclass(frozen=True, eq=False)
class _Reach:
    """What m attentions add, by the own effects of the choices that the runs hold.

    Args:
        own: weights of the own effects, (p, m).
        mean: what remains where all own effects are 0, (m,).
        variance: of that, (m,).
        unseen: which attentions no run holds, (m,) of 0 and 1.
    """

    own: Array
    mean: Array
    variance: Array
    unseen: Array

    def given(self, draw: Draw) -> tuple[Array, Array]:
        """Mean and variance, each (m,)."""
        own = ((draw.covariance @ self.own) * self.own).sum(0)
        return self.mean + draw.mean @ self.own, self.variance + own + self.unseen * draw.variances.mean()


@dataclass(frozen=True, eq=False)
class _Part:
    """The posterior for one set of variances, with that of each own effect, and the lower Cholesky factor of the
    scores' covariance, (n, n)."""

    runs: Runs
    variances: Variances
    own: dict[Choice, float]
    factor: Array

    def evidence(self, log_weight: float) -> EffectEvidence:
        """What the runs say of the own effects of all choices that they hold."""
        held = self._white_held
        white = self._white_scores
        log_likelihood = -float(white @ white / 2 + np.log(np.diag(self.factor)).sum())
        return EffectEvidence(held.T @ held, held.T @ white, log_likelihood + log_weight)

    def reach(self, choices: Sequence[Choice]) -> _Reach:
        """How what attentions add hangs on the own effects."""
        covariance, prior = self.single(choices, None)
        white = solve(self.factor, covariance)
        own = np.array([[float(one == choice) for choice in choices] for one in self.own])
        return _Reach(
            own=own - self._white_held.T @ white,
            mean=white.T @ self._white_scores,
            variance=(prior - (white**2).sum(0)).clip(min=0),
            unseen=1 - own.sum(0),
        )

    def with_own(self, variances: Array) -> _Part:
        """The same with variances of the own effects, (p,)."""
        held = self._held * np.sqrt(variances)
        covariance = self.factor @ self.factor.T + held @ held.T
        return replace(self, own=dict(zip(self.own, variances.tolist(), strict=True)), factor=cholesky(covariance))

    def single(self, choices: Sequence[Choice], setting: Setting | None) -> tuple[Array, Array]:
        """Covariance with the scores, (n, m), and prior variance, (m,), of what each of m attentions adds."""
        runs, pair = self.runs, self._pair_variance
        kind = self.variances.kind / len(runs.n_choices)
        likely = 1 / np.asarray(runs.n_choices, dtype=float)
        evenly = (runs.codes > 0) * likely
        columns, priors = [], []
        for location, code in choices:
            mine, own = runs.holds((location, code)), self.own.get((location, code), 0.0)
            free = np.ones(len(likely), dtype=bool)
            free[[location] if setting is None else [location, setting[0]]] = False
            beside = np.zeros(len(mine)) if setting is None or setting[1] == 0 else runs.holds(setting)
            columns.append(
                kind * (runs.codes == code).sum(1) + mine * (own + pair * (evenly[:, free].sum(1) + beside))
            )
            also = 0.0 if setting is None or setting[1] == 0 else 1.0
            priors.append(kind + own + pair * (float((likely[free] * (1 - likely[free])).sum()) + also))
        return np.stack(columns, axis=1), np.array(priors)

    def pairs(self, together: Array) -> list[Estimate]:
        """Of pairs, by which runs have them, (n, m)."""
        return self.posterior(self._pair_variance * together, np.full(together.shape[1], self._pair_variance))

    def with_loud_pair(self, together: Array) -> tuple[_Part, float]:
        """The same with a pair whose variance is a single effect's, and how much more that is."""
        more = max(0.0, self.variances.location / len(self.runs.n_choices) - self._pair_variance)
        covariance = self.factor @ self.factor.T + more * (together @ together.T)
        return replace(self, factor=cholesky(covariance)), more

    def posterior(self, covariance: Array, prior: Array) -> list[Estimate]:
        """Of sums of terms, by their covariance with the scores, (n, m), and their prior variance, (m,)."""
        white = solve(self.factor, covariance)
        means = white.T @ self._white_scores
        deviations = np.sqrt((prior - (white**2).sum(0)).clip(min=0))
        return list(zip(means.tolist(), deviations.tolist(), strict=True))

    @cached_property
    def _white_scores(self) -> Array:
        return solve(self.factor, self.runs.scores)

    @cached_property
    def _white_held(self) -> Array:
        return solve(self.factor, self._held)

    @property
    def _held(self) -> Array:
        """Which runs hold each choice, (n, p)."""
        return np.stack([self.runs.holds(choice) for choice in self.own], axis=1)

    @property
    def _pair_variance(self) -> float:
        """Of one pair."""
        return self.variances.pair / n_pairs(len(self.runs.n_choices))


def within_groups(values: Array, groups: NDArray[np.int64]) -> Array:
    """Values less the median of their group, (n,)."""
    left = values.copy()
    for group in np.unique(groups):
        left[groups == group] -= np.median(values[groups == group])
    return left


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
    return {
        "kind": counts @ theirs.T / n_locations,
        "location": shared / n_locations,
        "pair": shared * (shared - 1) / 2 / n_pairs(n_locations),
        "rest": (equal & (shared > 0)).astype(float),
    }


def n_pairs(n_locations: int) -> float:
    """How many pairs of locations there are; at least 1."""
    return max(1.0, n_locations * (n_locations - 1) / 2)


def score_kernels(runs: Runs) -> dict[str, Array]:
    """Covariance of the scores by each part alone, for a variance of 1: each (n, n)."""
    gains = gain_kernels(runs.codes, runs.codes)
    same_seed = runs.seeds[:, None] == runs.seeds
    return {
        **gains,
        "level": LEVEL_VARIANCE * (1.0 + same_seed),
        "by_seed": same_seed * gains["location"],
        "noise": np.eye(len(runs.codes)),
    }


def covariance_of(kernels: Mapping[str, Array], variances: Variances, known: Variances = NOTHING) -> Array:
    """Of the scores, (n, n).

    Args:
        kernels: of each part alone.
        variances: of the parts.
        known: variances that come on top.
    """
    total: Array = kernels["level"].copy()
    for part in PARTS:
        total += (getattr(variances, part) + getattr(known, part)) * kernels[part]
    return total


def _likely_variances(runs: Runs) -> dict[Variances, float]:
    """Sets of variances, and by how much the prior of each is above the density with which it was drawn: draws
    around the likeliest, of which the most important are kept. Both are without the variance of the location,
    and logarithms."""
    kernels = score_kernels(runs)
    best, least = likeliest_variances(kernels, runs.scores[:, None])
    drawn = np.random.default_rng(0).normal(0, _STEP, (_DRAWS, len(PARTS)))
    surprises, weights = {best: least}, {best: -_away(best, _OTHERS)}
    for steps in drawn:
        tried = Variances(*(getattr(best, name) * math.exp(step) for name, step in zip(PARTS, steps, strict=True)))
        surprises[tried] = _surprise(tried, kernels, runs.scores) - float(steps @ steps) / (2 * _STEP**2)
        others = steps[[name in _OTHERS for name in PARTS]]
        weights[tried] = float(others @ others) / (2 * _STEP**2) - _away(tried, _OTHERS)
    kept = sorted(surprises, key=lambda variances: surprises[variances])[:_MOST_PARTS]
    return {variances: weights[variances] for variances in kept}


def likeliest_variances(
    kernels: Mapping[str, Array],
    scores: Array,
    *,
    usual: Variances | None = None,
    log_sds: Array = PRIOR_LOG_SDS,
    draws: int = 1,
    known: Variances = NOTHING,
) -> tuple[Variances, float]:
    """Those that make the scores most likely, with a wide prior around the usual ones, and their surprise.

    The marginal likelihood is climbed by its gradient in the logarithms of all variances at once: what one part
    explains, another one can, too, and changing one after another ends far from the top.

    Args:
        kernels: of the scores.
        scores: (n, R), whose columns are together as good as so many draws.
        usual: the middle of the prior; the default where left out.
        log_sds: standard deviations of the prior of the logarithms, (6,).
        draws: how many.
        known: variances that come on top.
    """
    centre = np.log([getattr(usual or Variances(), part) for part in PARTS])

    def surprise(logs: Array) -> tuple[float, Array]:
        away = (logs - centre) / log_sds
        value, slope = _surprise_and_slope(Variances(*np.exp(logs).tolist()), kernels, scores, draws, known)
        return value + float(away @ away) / 2, slope + away / log_sds

    bounds = [(log - _MOST_LOG, log + _MOST_LOG) for log in centre]
    found = scipy.optimize.minimize(surprise, centre, jac=True, method="L-BFGS-B", bounds=bounds)
    return Variances(*np.exp(found.x).tolist()), float(found.fun)


def _surprise_and_slope(
    variances: Variances, kernels: Mapping[str, Array], scores: Array, draws: int, known: Variances
) -> tuple[float, Array]:
    """Minus the logarithm of the likelihood, and its derivatives by the logarithms of the variances."""
    factor = cholesky(covariance_of(kernels, variances, known))
    inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=True)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    explained = inverse @ scores
    left = draws * inverse - explained @ explained.T
    slope = [getattr(variances, part) * float((left * kernels[part]).sum()) / 2 for part in PARTS]
    value = float((scores * explained).sum()) / 2 + draws * float(np.log(np.diag(factor)).sum())
    return value, np.array(slope)


def _surprise(variances: Variances, kernels: dict[str, Array], scores: Array) -> float:
    """Minus the logarithm of the likelihood and of the prior."""
    factor = cholesky(covariance_of(kernels, variances))
    white = solve(factor, scores)
    return float(white @ white / 2 + np.log(np.diag(factor)).sum()) + _away(variances, PARTS)


def _away(variances: Variances, names: Sequence[str]) -> float:
    """Minus the logarithm of the prior of some of them."""
    sds = dict(zip(PARTS, PRIOR_LOG_SDS.tolist(), strict=True))
    usual = Variances()
    logs = {name: math.log(getattr(variances, name) / getattr(usual, name)) / sds[name] for name in names}
    return math.fsum(log**2 for log in logs.values()) / 2


def cholesky(covariance: Array) -> Array:
    """The lower factor."""
    factor: Array = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
    return factor


def solve(triangle: Array, right: Array) -> Array:
    """The solution of a lower triangular system."""
    solution: Array = scipy.linalg.solve_triangular(triangle, right, lower=True, check_finite=False)
    return solution
