"""A Bayesian linear model of IoU: what each attention adds at each location, and what pairs of them add."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from nas_attn.ranking.images import Array

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
_WIDE = 100.0
_PRIOR_LOG_SD = 4.0
_NAMES = ("kind", "location", "pair", "by_seed", "noise")
_STEP, _DRAWS, _MOST_PARTS = 1.0, 128, 16


@dataclass(frozen=True)
class Variances:
    """How much each part explains in a placement that attends everywhere, for scores of variance 1.

    Args:
        kind: of the attentions, wherever they stand.
        location: of the attentions at their own locations.
        pair: of all pairs together.
        by_seed: of what the attentions at their own locations add under one seed and not under others.
        noise: of one run.
    """

    kind: float = 0.2
    location: float = 0.3
    pair: float = 0.2
    by_seed: float = 0.1
    noise: float = 0.4


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


@dataclass(frozen=True, eq=False)
class EffectModel:
    """The posterior, given some runs::

        score = level + seed + sum of effect(location, attention) + sum of pair(location, attention, ...)
                + sum of luck(seed, location, attention) + noise
        effect(location, attention) = kind(attention) + own(location, attention)

    The luck of an attention with a seed is what all placements that hold it show under this seed and not under
    others: only further seeds average it out, not further placements. All terms are normal around 0. Their
    variances are not known either: the posterior is a mixture over those that are likely given the runs.

    The posterior does not ask why a placement was tried. A search chooses its trials by the scores before them and
    by nothing else that bears on the effects, so the probability of its choices is a factor of the likelihood
    that does not hold the effects, and cancels (the likelihood principle: Berger and Wolpert 1988; Rubin 1976,
    doi:10.1093/biomet/63.3.581). Least squares on the same trials is biased: what began unluckily is never
    tried again.

    Args:
        runs: what it has learned from.
        parts: the posterior for each likely set of variances.
        weights: how likely each set is; they sum to 1.
    """

    runs: Runs
    parts: tuple[_Part, ...]
    weights: tuple[float, ...]

    @classmethod
    def learn(cls, runs: Runs) -> EffectModel:
        """The posterior of the earliest ``MOST_RUNS`` runs."""
        taken = runs.first(MOST_RUNS)
        likely = _likely_variances(taken.first(_MOST_FOR_VARIANCES))
        kernels = _kernels(taken)
        parts = tuple(_Part(taken, variances, _cholesky(_covariance(kernels, variances))) for variances in likely)
        return cls(taken, parts, tuple(likely.values()))

    def added(self, choices: Sequence[Choice]) -> list[Estimate]:
        """What each attention adds, compared with none at its location.

        It is the average over placements that draw each other location's attention evenly from its choices.

        Args:
            choices: the attentions.
        """
        parts = [part.posterior(*part.single(choices, None)) for part in self.parts]
        return [self._mixed(estimates) for estimates in zip(*parts, strict=True)]

    def pairs(self, choices: Sequence[tuple[Choice, Choice]]) -> list[Estimate]:
        """What two attentions add beyond the sum of both, by the likeliest variances alone.

        Args:
            choices: pairs at different locations.
        """
        if not choices:
            return []
        together = np.stack([self.runs.holds(one) * self.runs.holds(other) for one, other in choices], axis=1)
        return self.parts[0].pairs(together)

    def beside(self, choice: Choice, other: Choice) -> tuple[Estimate, Estimate]:
        """What an attention adds where another's location has none, and what it adds beside the other.

        Their pair may matter as much as a single effect here: shrunken like all pairs, it would hide that the one
        adds nothing beside the other.
        """
        likeliest = self.parts[0]
        together = (self.runs.holds(choice) * self.runs.holds(other))[:, None]
        louder, more = likeliest.with_loud_pair(together)
        alone = louder.posterior(*likeliest.single([choice], (other[0], 0)))[0]
        covariance, prior = likeliest.single([choice], other)
        return alone, louder.posterior(covariance + more * together, prior + more)[0]

    def _mixed(self, estimates: Sequence[Estimate]) -> Estimate:
        """Mean and standard deviation of the mixture."""
        means, deviations = (np.array(column) for column in zip(*estimates, strict=True))
        weights = np.array(self.weights)
        mean = float(weights @ means)
        return mean, math.sqrt(float(weights @ (deviations**2 + (means - mean) ** 2)))


@dataclass(frozen=True, eq=False)
class _Part:
    """The posterior for one set of variances, with the lower Cholesky factor of the scores' covariance, (n, n)."""

    runs: Runs
    variances: Variances
    factor: Array

    def single(self, choices: Sequence[Choice], setting: Setting | None) -> tuple[Array, Array]:
        """Covariance with the scores, (n, m), and prior variance, (m,), of what each of m attentions adds."""
        runs, pair = self.runs, self._pair_variance
        kind, own = (variance / len(runs.n_choices) for variance in (self.variances.kind, self.variances.location))
        likely = 1 / np.asarray(runs.n_choices, dtype=float)
        evenly = (runs.codes > 0) * likely
        columns, priors = [], []
        for location, code in choices:
            mine = runs.holds((location, code))
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
        return replace(self, factor=_cholesky(covariance)), more

    def posterior(self, covariance: Array, prior: Array) -> list[Estimate]:
        """Of sums of terms, by their covariance with the scores, (n, m), and their prior variance, (m,)."""
        white = _solve(self.factor, covariance)
        means = white.T @ self._white_scores
        deviations = np.sqrt((prior - (white**2).sum(0)).clip(min=0))
        return list(zip(means.tolist(), deviations.tolist(), strict=True))

    @cached_property
    def _white_scores(self) -> Array:
        return _solve(self.factor, self.runs.scores)

    @property
    def _pair_variance(self) -> float:
        """Of one pair."""
        return self.variances.pair / _n_pairs(self.runs)


def _n_pairs(runs: Runs) -> float:
    n_locations = len(runs.n_choices)
    return max(1.0, n_locations * (n_locations - 1) / 2)


def _kernels(runs: Runs) -> dict[str, Array]:
    """Covariance of the scores by each part alone, for a variance of 1: each (n, n)."""
    n_runs, n_locations = runs.codes.shape
    shared = np.zeros((n_runs, n_runs))
    for location in range(n_locations):
        code = runs.codes[:, location]
        shared += (code[:, None] == code) & (code[:, None] > 0)
    counts = np.stack(
        [(runs.codes == code).sum(1) for code in range(1, runs.codes.max() + 1)], axis=1, dtype=float
    )
    same_seed = runs.seeds[:, None] == runs.seeds
    return {
        "level": _WIDE * (1.0 + same_seed),
        "kind": counts @ counts.T / n_locations,
        "location": shared / n_locations,
        "pair": shared * (shared - 1) / 2 / _n_pairs(runs),
        "by_seed": same_seed * shared / n_locations,
        "noise": np.eye(n_runs),
    }


def _covariance(kernels: dict[str, Array], variances: Variances) -> Array:
    total: Array = kernels["level"] + sum(getattr(variances, name) * kernels[name] for name in _NAMES)
    return total


def _likely_variances(runs: Runs) -> dict[Variances, float]:
    """Sets of variances and how likely each is: draws around the likeliest, weighted by importance."""
    kernels = _kernels(runs)
    best, least = _likeliest(kernels, runs.scores)
    generator = np.random.default_rng(0)
    surprises = {best: least}
    for steps in generator.normal(0, _STEP, (_DRAWS, len(_NAMES))):
        tried = Variances(
            *(getattr(best, name) * math.exp(step) for name, step in zip(_NAMES, steps, strict=True))
        )
        surprises[tried] = _surprise(tried, kernels, runs.scores) - float(steps @ steps) / (2 * _STEP**2)
    kept = sorted(surprises, key=lambda variances: surprises[variances])[:_MOST_PARTS]
    weights = np.exp([surprises[kept[0]] - surprises[variances] for variances in kept])
    return dict(zip(kept, (weights / weights.sum()).tolist(), strict=True))


def _likeliest(kernels: dict[str, Array], scores: Array) -> tuple[Variances, float]:
    """Coordinate ascent of the marginal likelihood, with a wide prior around the default, over factors."""
    best = Variances()
    least = _surprise(best, kernels, scores)
    for step in (4.0, 2.0, 1.4):
        for name in _NAMES:
            for factor in (step, 1 / step):
                tried = replace(best, **{name: getattr(best, name) * factor})
                surprise = _surprise(tried, kernels, scores)
                if surprise < least:
                    best, least = tried, surprise
    return best, least


def _surprise(variances: Variances, kernels: dict[str, Array], scores: Array) -> float:
    """Minus the logarithm of the likelihood and of the prior."""
    factor = _cholesky(_covariance(kernels, variances))
    white, usual = _solve(factor, scores), Variances()
    away = sum(math.log(getattr(variances, name) / getattr(usual, name)) ** 2 for name in _NAMES)
    return float(white @ white / 2 + np.log(np.diag(factor)).sum() + away / (2 * _PRIOR_LOG_SD**2))


def _cholesky(covariance: Array) -> Array:
    """The lower factor."""
    factor: Array = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
    return factor


def _solve(triangle: Array, right: Array) -> Array:
    """The solution of a lower triangular system."""
    solution: Array = scipy.linalg.solve_triangular(triangle, right, lower=True, check_finite=False)
    return solution
