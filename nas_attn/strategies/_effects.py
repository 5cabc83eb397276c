"""A Bayesian linear model of IoU: what each attention adds at each location, and what pairs of them add."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from nas_attn.record import TrialRecord
from nas_attn.strategies._bend import Array, Bend, bent
from nas_attn.strategies._encoding import Codes, Encoding

MOST_FOR_PAIRS = 512
"""With more runs pairs and luck are left out: a proposal's time must not grow with the cube of their number."""
MOST_FOR_VARIANCES = 384
_BLOCK = 256
_SEED_VARIANCE = 10.0
_LEAST_NOISE = 1e-6
"""Of a run that shares nothing with the top."""
_PRIOR_LOG_SD = 1.5


@dataclass(frozen=True)
class Variances:
    """How much each part of the model may explain, for scores of variance 1.

    Args:
        kind: of an attention, wherever it stands.
        stage: of an attention in one stage.
        location: of an attention at one location.
        pair: of all pairs together.
        by_seed: of what an attention at one location adds under one seed and not under others.
        noise: of one run.
    """

    kind: float = 0.25
    stage: float = 0.15
    location: float = 0.25
    pair: float = 0.1
    by_seed: float = 0.1
    noise: float = 0.4


@dataclass(frozen=True, eq=False)
class Runs:
    """What the model learns from.

    Args:
        codes: (n, L) choices; 0 is ``none``, which has no effect.
        stages: (L,) stage of each location.
        seeds: (n,) number of each run's seed, from 0.
        ious: (n,) nan where a run failed.
        n_specs: S, how many attentions there are, ``none`` included.
        shares: (n,) how much of a placement's score at the top a run explains: 1 for a run of the top budget, less
            for a short one, whose IoU is the one to expect at the top.
    """

    codes: Codes
    stages: NDArray[np.int64]
    seeds: NDArray[np.int64]
    ious: Array
    n_specs: int
    shares: Array

    @classmethod
    def of(cls, records: Sequence[TrialRecord], encoding: Encoding, share: Callable[[TrialRecord], float]) -> Runs:
        """Finished evaluations.

        Args:
            records: by number.
            encoding: that holds all of their placements.
            share: of a placement's score at the top that a record explains.
        """
        seeds = {seed: index for index, seed in enumerate(dict.fromkeys(record.seed for record in records))}
        ious = [np.nan if record.outcome is None else record.outcome.score.iou for record in records]
        return cls(
            codes=encoding.encode(record.placement for record in records),
            stages=encoding.stages,
            seeds=np.array([seeds[record.seed] for record in records]),
            ious=np.array(ious),
            n_specs=len(encoding.specs),
            shares=np.array([share(record) for record in records]),
        )

    def first(self, number: int) -> Runs:
        """The earliest of the runs."""
        return replace(
            self,
            codes=self.codes[:number],
            seeds=self.seeds[:number],
            ious=self.ious[:number],
            shares=self.shares[:number],
        )

    @cached_property
    def scores(self) -> Array:
        """The IoUs about 0 with a spread of 1 among the runs of the top budget, (n,)."""
        return bent(self.ious, self.ious[self.shares == 1])

    def noise(self, variance: float) -> Array:
        """Variance of what the placements leave of each score, (n,).

        The score to expect of a short run is its share w of the true one, shrunken to 0, and what the short run
        has beside it: where true scores have a variance of 1, w - w^2 of it is no news of the placement.

        Args:
            variance: of a run of the top budget.
        """
        noise: Array = self.shares**2 * variance + self.shares - self.shares**2
        return noise.clip(min=_LEAST_NOISE)


@dataclass(frozen=True, eq=False)
class Effects:
    """The model, given some runs::

        score = level + seed + sum of effect(location, attention) + sum of pair(location, attention, ...)
                + sum of luck(seed, location, attention) + noise
        effect(location, attention) = kind(attention) + stage(stage, attention) + own(location, attention)

    Every term has a normal prior around 0, so that what was seldom seen is taken to be like the rest of its
    attention, then of its stage. The luck of an attention with a seed does not average out over the placements
    that are run with this seed, only over seeds.

    Args:
        runs: what it has learned from.
        variances: of its terms.
        mean: of the linear terms, (p,).
        factor: lower Cholesky factor of their precision, (p, p).
        whitener: lower Cholesky factor of the covariance of what they leave, (n, n); None without pairs.
    """

    runs: Runs
    variances: Variances
    mean: Array
    factor: Array
    whitener: Array | None

    @classmethod
    def learn(cls, runs: Runs) -> Effects:
        """The posterior, with the variances that make the runs most likely."""
        variances = _likely_variances(runs)
        whitener = _whitener(runs, variances)
        square, right = _summed(runs, variances) if whitener is None else _whitened(runs, whitener)
        factor = _cholesky(square + np.diag(1 / _prior(runs, variances)))
        mean = _solve(factor.T, _solve(factor, right), lower=False)
        return cls(runs, variances, mean, factor, whitener)

    def draw(self, generator: np.random.Generator) -> Array:
        """The linear terms, once from the posterior, (p,)."""
        noise = generator.standard_normal(len(self.mean))
        return self.mean + _solve(self.factor.T, noise, lower=False)

    def values(self, terms: Array) -> Array:
        """What each choice adds by its linear terms, (L, S)."""
        n_locations, n_specs = self.runs.codes.shape[1], self.runs.n_specs
        single = np.zeros((n_locations * (n_specs - 1), n_locations), dtype=np.int64)
        rows = np.arange(len(single))
        single[rows, rows // (n_specs - 1)] = 1 + rows % (n_specs - 1)
        added = _features(single, self.runs, with_level=False) @ terms
        return np.column_stack([np.zeros(n_locations), added.reshape(n_locations, n_specs - 1)])

    def score(self, codes: Codes, terms: Array, generator: np.random.Generator | None = None) -> Array:
        """Scores of placements, given the linear terms, with the pairs' terms: drawn, or their mean.

        Args:
            codes: (m, L).
            terms: (p,).
            generator: for a draw; None takes the mean.
        Returns:
            (m,), without the part of any seed.
        """
        linear: Array = _features(codes, self.runs, with_level=False) @ terms
        if self.whitener is None:
            return linear
        left = self.runs.scores - _seen_features(self.runs) @ terms
        if generator is None:
            return linear + self._pairs_given(codes, left, self.whitener)
        # A draw of the prior, corrected by what it lacks at the runs (Matheron's rule; Wilson et al. 2020,
        # arXiv:2002.09309): no covariance among the placements is needed, of which there may be thousands.
        drawn = _drawn_pairs(self.runs, self.variances.pair, generator)
        noise = np.sqrt(self.runs.noise(self.variances.noise)) * generator.standard_normal(len(left))
        lucky = _drawn_luck(self.runs, self.variances.by_seed, generator)
        lacking = left - self.runs.shares * (_pair_sums(self.runs.codes, drawn) + lucky) - noise
        return linear + _pair_sums(codes, drawn) + self._pairs_given(codes, lacking, self.whitener)

    def ious(self, codes: Codes) -> Array:
        """The IoU to expect of placements, (m, L) -> (m,), over seeds."""
        bend = Bend.of(self.runs.ious[self.runs.shares == 1])
        return np.array([bend.iou(float(self.mean[0] + score)) for score in self.score(codes, self.mean)])

    def _pairs_given(self, codes: Codes, left: Array, whitener: Array) -> Array:
        """What the pairs are expected to add to placements, given what is left of the runs' scores, (m,)."""
        weights = _solve(whitener.T, _solve(whitener, left), lower=False)
        across = self.variances.pair * _pair_kernel(_shared(codes, self.runs.codes), self.runs) * self.runs.shares
        expected: Array = across @ weights
        return expected


def _whitener(runs: Runs, variances: Variances) -> Array | None:
    """Of pairs, of luck and noise; None where the first two are left out."""
    if len(runs.scores) > MOST_FOR_PAIRS:
        return None
    shared = _shared(runs.codes, runs.codes)
    covariance = variances.pair * _pair_kernel(shared, runs) + variances.by_seed * _luck_kernel(shared, runs)
    covariance *= np.outer(runs.shares, runs.shares)
    covariance[np.diag_indices_from(covariance)] += runs.noise(variances.noise)
    return _cholesky(covariance)


def _cholesky(covariance: Array) -> Array:
    """The lower factor."""
    factor: Array = scipy.linalg.cholesky(covariance, lower=True)
    return factor


def _solve(triangle: Array, right: Array, *, lower: bool = True) -> Array:
    """The solution of a triangular system."""
    solution: Array = scipy.linalg.solve_triangular(triangle, right, lower=lower)
    return solution


def _whitened(runs: Runs, whitener: Array) -> tuple[Array, Array]:
    """The normal equations of the linear terms, F' C^-1 F and F' C^-1 s, (p, p) and (p,)."""
    white = _solve(whitener, np.column_stack([_seen_features(runs), runs.scores]))
    return white[:, :-1].T @ white[:, :-1], white[:, :-1].T @ white[:, -1]


def _summed(runs: Runs, variances: Variances) -> tuple[Array, Array]:
    """The same where C is diagonal: sums over blocks of runs, of which only the last is not known from before."""
    noise_sd = np.sqrt(runs.noise(variances.noise))
    squares, rights = [], []
    for start in range(0, len(runs.scores), _BLOCK):
        block = slice(start, start + _BLOCK)
        features, square = _block(
            runs.codes[block].tobytes(),
            runs.seeds[block].tobytes(),
            (runs.shares[block] / noise_sd[block]).tobytes(),
            tuple(runs.stages.tolist()),
            runs.n_specs,
            int(runs.seeds.max()) + 1,
        )
        squares.append(square)
        rights.append(features.T @ (runs.scores[block] / noise_sd[block]))
    return np.sum(squares, axis=0), np.sum(rights, axis=0)


@lru_cache(maxsize=256)
def _block(
    codes: bytes, seeds: bytes, weights: bytes, stages: tuple[int, ...], n_specs: int, n_seeds: int
) -> tuple[Array, Array]:
    """Weighted features of some runs, (n, p), and their products, (p, p)."""
    chosen = np.frombuffer(codes, dtype=np.int64).reshape(-1, len(stages))
    level = _level(np.frombuffer(seeds, dtype=np.int64), n_seeds)
    features = np.column_stack([level, _terms(chosen, np.array(stages), n_specs)])
    features *= np.frombuffer(weights)[:, None]
    return features, features.T @ features


def _features(codes: Codes, runs: Runs, *, with_level: bool = True) -> Array:
    """(n, p): level and seeds (0 without them), then kinds, stages, locations."""
    n_seeds = int(runs.seeds.max()) + 1
    level = _level(runs.seeds[: len(codes)], n_seeds) if with_level else np.zeros((len(codes), 1 + n_seeds))
    return np.column_stack([level, _terms(codes, runs.stages, runs.n_specs)])


def _level(seeds: NDArray[np.int64], n_seeds: int) -> Array:
    level = np.zeros((len(seeds), 1 + n_seeds))
    level[:, 0] = 1.0
    level[np.arange(len(seeds)), 1 + seeds] = 1.0
    return level


def _terms(codes: Codes, stages: NDArray[np.int64], n_specs: int) -> Array:
    chosen = (codes[:, :, None] == np.arange(1, n_specs)).astype(float)
    by_stage = np.stack([chosen[:, stages == stage].sum(1) for stage in range(int(stages.max()) + 1)], axis=1)
    rows = len(codes)
    return np.column_stack([chosen.sum(1), by_stage.reshape(rows, -1), chosen.reshape(rows, -1)])


def _seen_features(runs: Runs) -> Array:
    """(n, p) of the runs themselves: a short run shows its share of each term."""
    features: Array = _features(runs.codes, runs) * runs.shares[:, None]
    return features


def _prior(runs: Runs, variances: Variances) -> Array:
    """Variance of each linear term, (p,); a placement that attends everywhere has the stated ones in all."""
    n_locations, n_kinds = runs.codes.shape[1], runs.n_specs - 1
    n_stages, n_seeds = int(runs.stages.max()) + 1, int(runs.seeds.max()) + 1
    return np.concatenate(
        [
            np.full(1, _SEED_VARIANCE),
            np.full(n_seeds, _SEED_VARIANCE if n_seeds > 1 else 1e-9),
            np.full(n_kinds, variances.kind / n_locations),
            np.full(n_stages * n_kinds, variances.stage / n_locations),
            np.full(n_locations * n_kinds, variances.location / n_locations),
        ]
    ).clip(min=1e-9)


def _pair_kernel(shared: Array, runs: Runs) -> Array:
    """How many pairs of attentions two placements share, over how many there can be, (n, m).

    Args:
        shared: how many attentions they share, (n, m).
        runs: of the space.
    """
    n_locations = runs.codes.shape[1]
    pairs: Array = shared * (shared - 1) / max(1, n_locations * (n_locations - 1))
    return pairs


def _luck_kernel(shared: Array, runs: Runs) -> Array:
    """How many attentions two runs share, over how many there can be; 0 where their seeds differ: (n, n)."""
    same_seed = runs.seeds[:, None] == runs.seeds
    kernel: Array = same_seed * shared / runs.codes.shape[1]
    return kernel


def _shared(one: Codes, other: Codes) -> Array:
    """How many locations hold the same attention in both, (n, m)."""
    shared = np.zeros((len(one), len(other)))
    for location in range(one.shape[1]):
        ours, theirs = one[:, location], other[:, location]
        shared += (ours[:, None] == theirs) & (ours[:, None] > 0)
    return shared


def _drawn_luck(runs: Runs, variance: float, generator: np.random.Generator) -> Array:
    """What the attentions of each run add under its seed, once from the prior, (n,)."""
    n_locations, n_seeds = runs.codes.shape[1], int(runs.seeds.max()) + 1
    sd = math.sqrt(variance / n_locations)
    drawn = sd * generator.standard_normal((n_seeds, n_locations, runs.n_specs))
    drawn[..., 0] = 0.0
    total: Array = drawn[runs.seeds[:, None], np.arange(n_locations), runs.codes].sum(1)
    return total


def _drawn_pairs(runs: Runs, variance: float, generator: np.random.Generator) -> Array:
    """What every pair of attentions adds, once from the prior, (L, S, L, S); 0 for ``none``.

    Their sums over the pairs of a placement have the covariance of ``_pair_kernel``.
    """
    n_locations, n_specs = runs.codes.shape[1], runs.n_specs
    sd = math.sqrt(2 * variance / max(1, n_locations * (n_locations - 1)))
    drawn = sd * generator.standard_normal((n_locations, n_specs, n_locations, n_specs))
    drawn[:, 0] = 0.0
    drawn[..., 0] = 0.0
    return drawn


def _pair_sums(codes: Codes, pairs: Array) -> Array:
    """The sum over the pairs of each placement, (n, L) -> (n,)."""
    total = np.zeros(len(codes))
    for one, other in itertools.combinations(range(codes.shape[1]), 2):
        total += pairs[one, codes[:, one], other, codes[:, other]]
    return total


def _likely_variances(runs: Runs) -> Variances:
    """Empirical Bayes: looked for anew whenever the runs have grown by a fifth."""
    number = min(_milestone(len(runs.scores)), MOST_FOR_VARIANCES)
    first = runs.first(number)
    return _search_variances(
        first.codes.tobytes(),
        first.seeds.tobytes(),
        first.ious.tobytes(),
        first.shares.tobytes(),
        tuple(runs.stages.tolist()),
        runs.n_specs,
    )


def _milestone(number: int) -> int:
    """The largest of 8, 9, 11, 13, ... that is not above a number."""
    milestone = 8
    while (following := max(milestone + 1, milestone * 6 // 5)) <= number:
        milestone = following
    return min(milestone, number)


@lru_cache(maxsize=64)
def _search_variances(
    codes: bytes, seeds: bytes, ious: bytes, shares: bytes, stages: Sequence[int], n_specs: int
) -> Variances:
    """Coordinate ascent of the marginal likelihood over factors of 2, from the default."""
    runs = Runs(
        np.frombuffer(codes, dtype=np.int64).reshape(-1, len(stages)),
        np.array(stages),
        np.frombuffer(seeds, dtype=np.int64),
        np.frombuffer(ious),
        n_specs,
        np.frombuffer(shares),
    )
    parts = _kernels(runs)
    best = Variances()
    least = _surprise(best, parts, runs.scores)
    for step in (4.0, 2.0, 2.0):
        for name in ("noise", "location", "by_seed", "kind", "pair", "stage"):
            for factor in (step, 1 / step):
                tried = replace(best, **{name: getattr(best, name) * factor})
                surprise = _surprise(tried, parts, runs.scores)
                if surprise < least:
                    best, least = tried, surprise
    return best


def _kernels(runs: Runs) -> dict[str, Array]:
    """Covariance of the scores by each part alone, for a variance of 1."""
    shared, both_shares = _shared(runs.codes, runs.codes), np.outer(runs.shares, runs.shares)
    kernels = {
        "pair": _pair_kernel(shared, runs) * both_shares,
        "by_seed": _luck_kernel(shared, runs) * both_shares,
        "noise": np.diag(runs.shares**2),
        "short": np.diag(runs.noise(1.0) - runs.shares**2),
    }
    features = _seen_features(runs)
    for name in ("kind", "stage", "location"):
        alone = _prior(runs, replace(Variances(*[0.0] * 6), **{name: 1.0}))
        alone[: 2 + int(runs.seeds.max())] = 0.0
        kernels[name] = (features * alone) @ features.T
    level = _prior(runs, Variances())
    level[2 + int(runs.seeds.max()) :] = 0.0
    kernels["level"] = (features * level) @ features.T
    return kernels


def _surprise(variances: Variances, kernels: dict[str, Array], scores: Array) -> float:
    """Minus the logarithm of the likelihood, and of a wide prior around the default variances."""
    names = ("kind", "stage", "location", "pair", "by_seed", "noise")
    covariance = (
        kernels["level"] + kernels["short"] + sum(getattr(variances, name) * kernels[name] for name in names)
    )
    factor = _cholesky(covariance + 1e-9 * np.eye(len(scores)))
    white = _solve(factor, scores)
    usual = Variances()
    away = sum(math.log(getattr(variances, name) / getattr(usual, name)) ** 2 for name in names)
    return float(white @ white / 2 + np.log(np.diag(factor)).sum() + away / (2 * _PRIOR_LOG_SD**2))
