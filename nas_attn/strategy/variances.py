"""How much each part of the model of effects may explain, found from the runs (empirical Bayes)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.linalg

from nas_attn.strategy.robust_scale import Array
from nas_attn.strategy.runs import RungRuns
from nas_attn.strategy.terms import bias_kernel, levels, luck_kernel, pair_kernel, shared, terms

MOST_FOR_VARIANCES = 384
LEVEL_VARIANCE = 10.0
_PRIOR_LOG_SD = 1.5
_LEAST = 1e-9


@dataclass(frozen=True)
class Short:
    """What the runs of a rung below the top show of a placement's effects, for scores of variance 1.

    Args:
        gain: factor of the effects that the top shows.
        bias: variance of what attentions add on this rung, with every seed, and not at the top: a module that
            disturbs trained weights, or learns slowly.
        noise: of one run.
    """

    gain: float = 0.7
    bias: float = 0.3
    noise: float = 0.4


@dataclass(frozen=True)
class RungVariances:
    """How much each part of the model may explain, for scores of variance 1.

    Args:
        kind: of an attention, wherever it stands.
        stage: of an attention in one stage.
        location: of an attention at one location.
        pair: of all pairs together.
        by_seed: of what an attention at one location adds under one seed and not under others.
        noise: of one run of the top budget.
        short: of the rungs below the top, the longest first.
    """

    kind: float = 0.25
    stage: float = 0.15
    location: float = 0.25
    pair: float = 0.1
    by_seed: float = 0.1
    noise: float = 0.4
    short: tuple[Short, ...] = ()

    def gains(self, runs: RungRuns) -> Array:
        """By which each run shows the effects of its placement, (n,)."""
        return np.array([1.0, *(rung.gain for rung in self.short)])[runs.rungs]

    def noises(self, runs: RungRuns) -> Array:
        """Variance of each run's own noise, (n,)."""
        return np.array([self.noise, *(rung.noise for rung in self.short)])[runs.rungs]

    def of_terms(self, runs: RungRuns) -> Array:
        """Variance of each linear term of the attentions, (p,); a placement that attends everywhere has the stated
        ones in all."""
        n_locations, n_kinds = runs.n_locations, runs.n_specs - 1
        per_location = (
            np.full(n_kinds, self.kind),
            np.full((int(runs.stages.max()) + 1) * n_kinds, self.stage),
            np.full(n_locations * n_kinds, self.location),
        )
        variances: Array = np.concatenate(per_location) / n_locations
        return variances.clip(min=_LEAST)


def of_levels(n_seeds: int) -> Array:
    """Variance of the level and of each seed's, (1 + seeds,): wide; a single seed has no level of its own."""
    return np.array([LEVEL_VARIANCE, *[LEVEL_VARIANCE if n_seeds > 1 else _LEAST] * n_seeds])


def likely_variances(runs: RungRuns) -> RungVariances:
    """Those that make the runs most likely: looked for anew whenever the runs have grown by a fifth."""
    first = runs.first(min(_milestone(len(runs.scores)), MOST_FOR_VARIANCES))
    found = _search(
        first.codes.tobytes(),
        first.seeds.tobytes(),
        first.rungs.tobytes(),
        first.ious.tobytes(),
        tuple(runs.stages.tolist()),
        runs.n_specs,
    )
    unseen = (Short(),) * (runs.n_short - len(found.short))
    return replace(found, short=(*found.short, *unseen))


def _milestone(number: int) -> int:
    """The largest of 8, 9, 11, 13, ... that is not above a number."""
    milestone = 8
    while (following := max(milestone + 1, milestone * 6 // 5)) <= number:
        milestone = following
    return min(milestone, number)


@lru_cache(maxsize=64)
def _search(
    codes: bytes, seeds: bytes, rungs: bytes, ious: bytes, stages: Sequence[int], n_specs: int
) -> RungVariances:
    """Coordinate ascent of the marginal likelihood over factors of 2, from the default."""
    runs = RungRuns(
        np.frombuffer(codes, dtype=np.int64).reshape(-1, len(stages)),
        np.array(stages),
        np.frombuffer(seeds, dtype=np.int64),
        np.frombuffer(rungs, dtype=np.int64),
        np.frombuffer(ious),
        n_specs,
    )
    usual = RungVariances(short=(Short(),) * runs.n_short)
    surprise = _Surprise(runs, usual)
    best, least = usual, surprise(usual)
    for step in (4.0, 2.0, 2.0):
        for part in _parts(usual):
            for factor in (step, 1 / step):
                tried = _multiplied(best, part, factor)
                if (found := surprise(tried)) < least:
                    best, least = tried, found
    return best


_Part = tuple[int, str]
"""A rung, 0 for the top, and the name of one of its values."""


def _parts(variances: RungVariances) -> list[_Part]:
    """All that can be varied, the short rungs' first."""
    short = [(rung, name) for rung in range(1, len(variances.short) + 1) for name in ("gain", "noise", "bias")]
    return [*short, *((0, name) for name in ("noise", "location", "by_seed", "kind", "pair", "stage"))]


def _value(variances: RungVariances, part: _Part) -> float:
    rung, name = part
    value: float = getattr(variances.short[rung - 1] if rung else variances, name)
    return value


def _multiplied(variances: RungVariances, part: _Part, factor: float) -> RungVariances:
    (rung, name), value = part, factor * _value(variances, part)
    changed: dict[str, Any] = {name: value}
    if not rung:
        return replace(variances, **changed)
    short = list(variances.short)
    short[rung - 1] = replace(short[rung - 1], **changed)
    return replace(variances, short=tuple(short))


_ALONE = {
    "kind": RungVariances(kind=1.0, stage=0.0, location=0.0),
    "stage": RungVariances(kind=0.0, stage=1.0, location=0.0),
    "location": RungVariances(kind=0.0, stage=0.0, location=1.0),
}


class Remainder:
    """Covariance of what their linear terms leave of the runs' scores: pairs, luck, biases and noise.

    Args:
        runs: n of them.
    """

    def __init__(self, runs: RungRuns) -> None:
        self._runs = runs
        common = shared(runs.codes, runs.codes)
        self._pair, self._luck = pair_kernel(common, runs.n_locations), luck_kernel(common, runs)
        self._biases = [bias_kernel(common, runs, rung) for rung in range(1, runs.n_short + 1)]

    def __call__(self, variances: RungVariances) -> Array:
        """(n, n)."""
        gains = variances.gains(self._runs)
        covariance = variances.pair * self._pair + variances.by_seed * self._luck
        covariance *= np.outer(gains, gains)
        for rung, kernel in zip(variances.short, self._biases, strict=False):
            covariance += rung.bias * kernel
        covariance[np.diag_indices_from(covariance)] += variances.noises(self._runs)
        return covariance


class _Surprise:
    """Minus the logarithm of the likelihood, and of a wide prior around the usual variances.

    Args:
        runs: whose scores are to be explained.
        usual: the middle of the prior.
    """

    def __init__(self, runs: RungRuns, usual: RungVariances) -> None:
        self._runs, self._usual = runs, usual
        self._remainder = Remainder(runs)
        features = terms(runs.codes, runs.stages, runs.n_specs)
        self._linear = {name: (features * alone.of_terms(runs)) @ features.T for name, alone in _ALONE.items()}
        level = levels(runs.seeds, runs.rungs, runs.n_seeds)
        self._level = (level * of_levels(runs.n_seeds)) @ level.T

    def __call__(self, variances: RungVariances) -> float:
        """Of some variances."""
        gains = variances.gains(self._runs)
        covariance = self._remainder(variances) + self._level
        covariance += np.outer(gains, gains) * sum(
            getattr(variances, name) * kernel for name, kernel in self._linear.items()
        )
        covariance[np.diag_indices_from(covariance)] += _LEAST
        factor = scipy.linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        white = scipy.linalg.solve_triangular(factor, self._runs.scores, lower=True, check_finite=False)
        return float(white @ white / 2 + np.log(np.diag(factor)).sum() + self._away(variances))

    def _away(self, variances: RungVariances) -> float:
        """How far from the usual values; a gain counts as the variance that it makes."""
        logs = (
            (2 if part[1] == "gain" else 1) * math.log(_value(variances, part) / _value(self._usual, part))
            for part in _parts(variances)
        )
        return math.fsum(log**2 for log in logs) / (2 * _PRIOR_LOG_SD**2)
