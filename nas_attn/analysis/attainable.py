"""What the best placement of a space may gain: the maximum of each draw from the posterior of all gains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.effect_model import (
    Choice,
    Runs,
    Variances,
    cholesky,
    covariance_of,
    n_pairs,
    score_kernels,
    solve,
)
from nas_attn.analysis.images import Array
from nas_attn.analysis.own_effects import OwnEffects

DRAWS = 256
_MOST_SWEEPS = 20


@dataclass(frozen=True, eq=False)
class Learned:
    """What some runs say of all placements of the attentions that they hold; in units of the scores' spread.

    Args:
        runs: n runs.
        variances: of the model's parts but the own effects of attentions at their locations.
        by_images: what of these the images gave, which is no gain.
        factor: lower Cholesky factor of the scores' covariance without own effects, (n, n).
        left: scores, whitened by it, (n,).
        held: which runs hold which of p choices, whitened, (n, p).
        choices: these attentions with their locations.
        own: their own effects.
    """

    runs: Runs
    variances: Variances
    by_images: Variances
    factor: Array
    left: Array
    held: Array
    choices: tuple[Choice, ...]
    own: OwnEffects

    def best_gains(self, number: int = DRAWS) -> Array:
        """The gain of the best placement, drawn from the posterior, (number,); 0 or more.

        In each draw every attention has its effect at every location, every pair of them what they add together,
        and every placement that was tried what it has by itself. The best is sought among all placements that
        consist of attentions which some run holds at their locations, whatever they cost, the plain U-Net among
        them. Without pairs it is exact; with pairs, one location after the other is set to what is best beside the
        others, from the best single effects and from the best placement that was tried, until nothing changes.
        What untried placements have by themselves is left out: nobody finds it but by trying each. The draws are
        the same at every call.

        A draw is one from the prior, corrected by what the runs say of its difference to them (Matheron's rule;
        Wilson et al. 2020, arXiv:2002.09309, eq. 7).
        """
        if not self.choices:
            return np.zeros(number)
        return np.array([self._best(*drawn) for drawn in self.draws(number)])

    def draws(self, number: int) -> Iterator[tuple[Array, Array, Array]]:
        """Effects of the choices, (p,), of their pairs, (p, p) and symmetric, and what the placements that were
        tried have by themselves, (m,), in the order of ``tried``."""
        generator = np.random.default_rng(5)
        for own in self.own.drawn(number, generator):
            yield self._drawn(own, generator)

    def _best(self, singles: Array, pairs: Array, rests: Array) -> float:
        tried = self.tried @ singles + np.einsum("mp,pq,mq->m", self.tried, pairs, self.tried) / 2
        starts = (np.zeros(len(singles)), self.tried[int(np.argmax(tried))])
        climbed = max(_climbed(start, singles, pairs, self._groups) for start in starts)
        return max(0.0, climbed, float((tried + rests).max()))

    def _drawn(self, own: Array, generator: np.random.Generator) -> tuple[Array, Array, Array]:
        """One draw, given the own effects."""
        variances, holds = self.variances, self._holds
        n_locations, codes = self.runs.codes.shape[1], np.array([code for _, code in self.choices])
        kind_variance, pair_variance = variances.kind / n_locations, variances.pair / n_pairs(n_locations)
        kinds = kind_variance**0.5 * generator.standard_normal(int(codes.max()) + 1)
        pairs = self._may_pair * pair_variance**0.5 * _symmetric(generator, len(codes))
        rests = variances.rest**0.5 * generator.standard_normal(len(self.tried))
        scores = holds @ kinds[codes] + np.einsum("np,pq,nq->n", holds, pairs, holds) / 2 + rests[self._row]
        scores += self._rest_factor @ generator.standard_normal(len(holds))
        white = self.left - self.held @ own - solve(self.factor, scores)
        pull = solve_transposed(self.factor, white)
        pulled = holds.T @ pull
        kinds += kind_variance * np.bincount(codes, pulled, len(kinds))
        pairs += pair_variance * self._may_pair * (holds.T @ (pull[:, None] * holds))
        rests += variances.rest * np.bincount(self._row, pull, len(rests))
        return kinds[codes] + own, pairs, rests * self.tried.any(1)

    @cached_property
    def _holds(self) -> Array:
        return np.stack([self.runs.holds(choice) for choice in self.choices], axis=1)

    @cached_property
    def _unique(self) -> tuple[Array, NDArray[np.int64]]:
        tried, row = np.unique(self._holds, axis=0, return_inverse=True)
        return tried, row.reshape(-1)

    @property
    def tried(self) -> Array:
        """Which choices each placement holds, (m, p)."""
        return self._unique[0]

    @property
    def _row(self) -> NDArray[np.int64]:
        """Number of each run's placement, (n,)."""
        return self._unique[1]

    @cached_property
    def _may_pair(self) -> Array:
        """Which choices stand at different locations, (p, p) of 0 and 1."""
        where = np.array([location for location, _ in self.choices])
        apart: Array = (where[:, None] != where).astype(float)
        return apart

    @cached_property
    def _groups(self) -> list[NDArray[np.int64]]:
        """Numbers of the choices at each location."""
        where = np.array([location for location, _ in self.choices])
        return [np.flatnonzero(where == location) for location in np.unique(where)]

    @cached_property
    def _rest_factor(self) -> Array:
        """Of the covariance of what is no gain: the level, seeds, images and noise."""
        others = replace(self.variances, kind=0.0, location=0.0, pair=0.0, rest=0.0)
        return cholesky(covariance_of(score_kernels(self.runs), others, self.by_images))


def solve_transposed(triangle: Array, right: Array) -> Array:
    """The solution of a system with the transpose of a lower triangle."""
    solution: Array = solve(triangle.T[::-1, ::-1], right[::-1])[::-1]
    return solution


def _symmetric(generator: np.random.Generator, size: int) -> Array:
    upper = np.triu(generator.standard_normal((size, size)), 1)
    return upper + upper.T


def _climbed(start: Array, singles: Array, pairs: Array, groups: list[NDArray[np.int64]]) -> float:
    """The gain that is reached from a placement, (p,) of 0 and 1, by changing one location after the other."""
    held = start.copy()
    for _ in range(_MOST_SWEEPS):
        before = held.copy()
        for group in groups:
            held[group] = 0.0
            added = singles[group] + pairs[group] @ held
            best = int(added.argmax())
            held[group[best]] = float(added[best] > 0)
        if (held == before).all():
            break
    return float(held @ singles + held @ pairs @ held / 2)
