"""A Bayesian linear model of IoU: what each attention adds at each location, and what pairs of them add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas_attn.strategy.encoding import Codes
from nas_attn.strategy.normal_equations import (
    cholesky,
    features_of,
    prior_of,
    prior_of_extras,
    solve,
    summed,
    whitened,
)
from nas_attn.strategy.robust_scale import Array, Bend
from nas_attn.strategy.runs import RungRuns
from nas_attn.strategy.terms import drawn_effects, drawn_pairs, pair_kernel, pair_sums, shared, terms
from nas_attn.strategy.variances import Remainder, RungVariances, likely_variances

MOST_FOR_PAIRS = 512
"""With more runs pairs are left out: a proposal's time must not grow with the cube of their number."""


@dataclass(frozen=True, eq=False)
class Effects:
    """The model, given some runs::

        score = level + seed + gain * (placement + luck) + bias + noise
        placement = sum of effect(location, attention) + sum of pair(location, attention, ...)
        luck      = sum of luck(seed, location, attention)
        bias      = sum of bias(rung, location, attention)
        effect(location, attention) = kind(attention) + stage(stage, attention) + own(location, attention)

    Every term has a normal prior around 0, so that what was seldom seen is taken to be like the rest of its
    attention, then of its stage. The luck of an attention with a seed does not average out over the placements
    that are run with this seed, only over seeds; and what the short runs of a rung hold for or against an
    attention (bias) does not average out over them, only long runs tell. At the top gain is 1 and bias 0; on a
    rung below it they are found from the runs: two autoregressive levels of fidelity, as in Kennedy and O'Hagan
    (2000, Biometrika 87(1)), with an additive discrepancy.

    Args:
        runs: what it has learned from.
        variances: of its terms.
        mean: of the linear terms, (p,): level, seeds, effects; where there is no whitener also biases and luck.
        factor: lower Cholesky factor of their precision, (p, p).
        whitener: lower Cholesky factor of the covariance of what they leave, (n, n); None without pairs.
    """

    runs: RungRuns
    variances: RungVariances
    mean: Array
    factor: Array
    whitener: Array | None

    @classmethod
    def learn(cls, runs: RungRuns) -> Effects:
        """The posterior, with the variances that make the runs most likely."""
        variances = likely_variances(runs)
        whitener = _whitener(runs, variances)
        square, right = summed(runs, variances) if whitener is None else whitened(runs, variances, whitener)
        prior = prior_of(runs, variances)
        if whitener is None:
            prior = np.concatenate([prior, prior_of_extras(runs, variances)])
        factor = cholesky(square + np.diag(1 / prior))
        mean = solve(factor.T, solve(factor, right), lower=False)
        return cls(runs, variances, mean, factor, whitener)

    def draw(self, generator: np.random.Generator) -> Array:
        """The linear terms, once from the posterior, (p,)."""
        noise = generator.standard_normal(len(self.mean))
        return self.mean + solve(self.factor.T, noise, lower=False)

    def values(self, drawn: Array) -> Array:
        """What each choice adds by its linear terms, (L, S).

        Args:
            drawn: linear terms, (p,).
        """
        n_locations, n_specs = self.runs.n_locations, self.runs.n_specs
        single = np.zeros((n_locations * (n_specs - 1), n_locations), dtype=np.int64)
        rows = np.arange(len(single))
        single[rows, rows // (n_specs - 1)] = 1 + rows % (n_specs - 1)
        added = self._linear(single, drawn)
        return np.column_stack([np.zeros(n_locations), added.reshape(n_locations, n_specs - 1)])

    def score(self, codes: Codes, drawn: Array, generator: np.random.Generator | None = None) -> Array:
        """Scores of placements at the top, given the linear terms, with the pairs' terms: drawn, or their mean.

        Args:
            codes: (m, L).
            drawn: linear terms, (p,).
            generator: for a draw; None takes the mean.
        Returns:
            (m,), without the part of any seed.
        """
        if generator is not None:
            scores: Array = self._scores(codes, drawn[None], generator)[0]
            return scores
        linear = self._linear(codes, drawn)
        if self.whitener is None:
            return linear
        pairs: Array = self._across(codes) @ self._weights(self._left(drawn))
        return linear + pairs

    def draws(self, codes: Codes, number: int, generator: np.random.Generator) -> Array:
        """Scores of placements at the top, drawn from their joint posterior, (number, m).

        Args:
            codes: (m, L).
            number: of draws.
            generator: of the draws.
        """
        return self._scores(codes, np.array([self.draw(generator) for _ in range(number)]), generator)

    def ious(self, codes: Codes) -> Array:
        """The IoU to expect of placements at the top, (m, L) -> (m,), over seeds."""
        bend = Bend.of(self.runs.ious[self.runs.rungs == 0])
        return np.array([bend.iou(float(self.mean[0] + score)) for score in self.score(codes, self.mean)])

    def _scores(self, codes: Codes, drawn: Array, generator: np.random.Generator) -> Array:
        """One row for each row of linear terms, (number, p) -> (number, m)."""
        linear = np.array([self._linear(codes, row) for row in drawn])
        if self.whitener is None:
            return linear
        # A draw of the prior, corrected by what it lacks at the runs (Matheron's rule; Wilson et al. 2020,
        # arXiv:2002.09309): no covariance among the placements is needed, of which there may be thousands.
        runs, variances, number = self.runs, self.variances, len(drawn)
        pairs = drawn_pairs(number, runs, variances.pair, generator)
        noise = np.sqrt(variances.noises(runs)) * generator.standard_normal((number, len(runs.scores)))
        luck_sds = np.full(runs.n_seeds, variances.by_seed**0.5)
        luck = drawn_effects(number, runs.seeds, runs, luck_sds, generator)
        bias_sds = np.sqrt([0.0, *(rung.bias for rung in variances.short)])
        bias = drawn_effects(number, runs.rungs, runs, bias_sds, generator) if runs.n_short else 0.0
        shown = variances.gains(runs) * (pair_sums(runs.codes, pairs) + luck) + bias + noise
        lacking = np.array([self._left(row) for row in drawn]) - shown
        scores: Array = linear + pair_sums(codes, pairs) + (self._across(codes) @ self._weights(lacking.T)).T
        return scores

    def _linear(self, codes: Codes, drawn: Array) -> Array:
        """What the linear terms give placements, without level and seeds, (m,)."""
        first = 1 + self.runs.n_seeds
        columns = terms(codes, self.runs.stages, self.runs.n_specs)
        scores: Array = columns @ drawn[first : first + columns.shape[1]]
        return scores

    def _left(self, drawn: Array) -> Array:
        """What linear terms leave of the runs' scores, (n,)."""
        left: Array = self.runs.scores - features_of(self.runs, self.variances) @ drawn
        return left

    def _weights(self, left: Array) -> Array:
        """Their precision times what is left, (n,) or (n, k)."""
        assert self.whitener is not None
        return solve(self.whitener.T, solve(self.whitener, left), lower=False)

    def _across(self, codes: Codes) -> Array:
        """Covariance of the placements' pairs with the runs' scores, (m, n)."""
        kernel = pair_kernel(shared(codes, self.runs.codes), self.runs.n_locations)
        across: Array = self.variances.pair * kernel * self.variances.gains(self.runs)
        return across


def _whitener(runs: RungRuns, variances: RungVariances) -> Array | None:
    """Of pairs, luck, biases and noise; None where there are too many runs."""
    if len(runs.scores) > MOST_FOR_PAIRS:
        return None
    return cholesky(Remainder(runs)(variances))
