"""The posterior of all placements' gains given the runs: proposals are drawn from it and reports are read off
it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from nas_attn.analysis.effect_model import (
    LEVEL_VARIANCE,
    NOTHING,
    Choice,
    Codes,
    Kernels,
    Numbers,
    Prior,
    Runs,
    Variances,
    covariance_of,
    gain_covariance,
    holds,
    n_pairs,
)
from nas_attn.analysis.images import Array
from nas_attn.analysis.linear_algebra import cholesky, on_one_core, solve
from nas_attn.analysis.own_effects import OwnEffects, local_scales
from nas_attn.analysis.variances import GainVariances

_BLOCK = 64
"""Block size in runs of the factorisation: full blocks are not factored again when runs are added."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior given n runs, in units of the scores' spread.

    Args:
        runs: n of them.
        choices: p attentions with their locations, at least all that the runs have.
        variances: of all parts except the own effects of attentions at their locations.
        by_images: the share of these variances that comes from the images, which is not a gain.
        scales: variances of the choices' own effects, in each of d draws, (d, p).
        factor: lower Cholesky factor of the scores' covariance without own effects, (n, n).
        held: which runs have which choices, scaled by the gain of their rung and whitened by ``factor``, (n,
            p).
    """

    runs: Runs
    choices: tuple[Choice, ...]
    variances: Variances
    by_images: Variances
    scales: Array
    factor: Array
    held: Array

    @classmethod
    @on_one_core
    def learn(
        cls,
        runs: Runs,
        choices: tuple[Choice, ...],
        first: Runs,
        influences: Mapping[int, Array],
        n_short: int,
        prior: Prior,
    ) -> Posterior:
        """The posterior given all runs, with variances learned from the first runs.

        Args:
            runs: at least one.
            choices: all attentions that the runs have, and possibly others.
            first: the first of the runs, with the scores that they have by themselves.
            influences: of the images on some of the first runs, in units of their scores.
            n_short: number of rungs below the top.
            prior: of the variances.
        """
        likely = GainVariances.of(first, influences, n_short, prior)
        variances = replace(likely.by_runs, location=0.0)
        factor, held = _whitened(runs.unscored, choices, variances, likely.by_images)
        expected, start = prior.own / runs.n_locations, likely.by_runs.location / runs.n_locations
        scales = _scales(first, choices, variances, likely.by_images, expected, start)
        return cls(runs, choices, variances, likely.by_images, scales, factor, held)

    @cached_property
    @on_one_core
    def white(self) -> Array:
        """The scores, whitened, (n,)."""
        return solve(self.factor, self.runs.scores)

    @cached_property
    @on_one_core
    def own(self) -> OwnEffects:
        """The choices' own effects."""
        return OwnEffects(self.scales, self.held.T @ self.held, self.held.T @ self.white)

    @cached_property
    @on_one_core
    def left(self) -> Array:
        """The whitened scores minus the mean own effects, (n,)."""
        left: Array = self.white - self.held @ self.own.mean
        return left

    @cached_property
    def gains(self) -> Array:
        """Factor by which each run shows its placement, (n,)."""
        return self.variances.gains(self.runs.rungs)

    @property
    @on_one_core
    def level(self) -> float:
        """Expected score of the plain U-Net over the seeds of the top, from its covariance with the scores."""
        top = self.runs.rungs == 0
        n_seeds = max(1, len(np.unique(self.runs.seeds[top])))
        return float(solve(self.factor, LEVEL_VARIANCE * (1 + top / n_seeds)) @ self.left)

    @on_one_core
    def known(self, codes: Codes) -> Array:
        """Covariance of placements' gains with the scores, whitened, (n, m)."""
        across = gain_covariance(self.runs.codes, codes, self.variances)
        return solve(self.factor, self.gains[:, None] * across)

    def draw(self, generator: np.random.Generator, further: Sequence[Choice] = ()) -> Drawn:
        """One joint draw of all effects.

        Args:
            generator: of the draw.
            further: choices that no run has.
        """
        own = [self.own.draw(generator), self.own.draw_unseen(len(further), generator)]
        return self._drawn(np.concatenate(own), generator, self._design((*self.choices, *further)))

    def draws(self, number: int, generator: np.random.Generator) -> Iterator[Drawn]:
        """Joint draws of all effects, using every draw of the own effects' scales equally often."""
        design = self._design(self.choices)
        for own in self.own.drawn(number, generator):
            yield self._drawn(own, generator, design)

    def _design(self, choices: tuple[Choice, ...]) -> _Design:
        return _Design(choices, self.runs.holds(choices), self._rows)

    @on_one_core
    def _drawn(self, own: Array, generator: np.random.Generator, design: _Design) -> Drawn:
        """One draw, given the own effects.

        It is a draw from the prior, corrected by its difference to the runs (Matheron's rule; Wilson et al.
        2020, arXiv:2002.09309, eq. 7).
        """
        held, here, n_locations = design.held, slice(len(self.choices)), self.runs.n_locations
        terms = design.drawn(self.variances, n_locations, generator)
        shown = self.gains * (design.sums(terms) + self._beside(design, generator)) + self._noise(held, generator)
        white = self.white - self.held @ own[here] - solve(self.factor, shown)
        pull = self.gains * solve(self.factor, white, transposed=True)
        terms = design.corrected(terms, self.variances, n_locations, pull)
        rests = terms.rests * self.tried.any(1)
        singles = terms.kinds[design.kinds] + own
        return Drawn(design.choices, terms.common, singles, terms.pairs, rests, self.tried)

    def _beside(self, design: _Design, generator: np.random.Generator) -> Array:
        """Draw of luck with seeds and of the images' contribution, as the top shows them, (n,)."""
        n_locations, by_images = self.runs.n_locations, self.by_images
        luck = _by_group(design.held, self.runs.seeds, self.variances.by_seed / n_locations, generator)
        if by_images == NOTHING:
            return luck
        own = (by_images.location / n_locations) ** 0.5 * generator.standard_normal(design.held.shape[1])
        luck += design.sums(design.drawn(by_images, n_locations, generator)) + design.held @ own
        return luck

    def _noise(self, held: Array, generator: np.random.Generator) -> Array:
        """Draw of level, seed effects, biases of short runs, and noise, (n,)."""
        runs, variances = self.runs, self.variances
        noise = np.sqrt(variances.noises(runs.rungs) + runs.doubts) * generator.standard_normal(len(held))
        wide = LEVEL_VARIANCE**0.5
        noise += wide * (generator.standard_normal() + generator.standard_normal(runs.seeds.max() + 1)[runs.seeds])
        if variances.short:
            noise += _by_group(held, runs.rungs, variances.biases(runs.rungs) / runs.n_locations, generator)
        return noise

    @cached_property
    def _unique(self) -> tuple[Codes, Numbers]:
        tried, row = np.unique(self.runs.codes, axis=0, return_inverse=True)
        return tried, row.reshape(-1)

    @property
    def tried(self) -> Codes:
        """Every distinct placement of the runs, (t, L)."""
        return self._unique[0]

    @property
    def holds_tried(self) -> Array:
        """Which choices each of these placements has, (t, p)."""
        return holds(self.tried, self.choices)

    @property
    def _rows(self) -> Numbers:
        """Number of each run's placement, (n,)."""
        return self._unique[1]


@dataclass(frozen=True, eq=False)
class Drawn:
    """One draw of all effects.

    Args:
        choices: p attentions with their locations.
        common: gain shared by every placement with attention.
        singles: effect of each choice, (p,).
        pairs: joint effect of each two choices, (p, p) and symmetric.
        rests: the rest of each placement that was tried, (t,).
        tried: these placements, (t, L).
    """

    choices: tuple[Choice, ...]
    common: float
    singles: Array
    pairs: Array
    rests: Array
    tried: Codes

    def gains(self, codes: Codes) -> Array:
        """Gains of placements made of the choices, without their rests, (m,)."""
        return self.of_held(holds(codes, self.choices))

    def gains_tried(self, codes: Codes) -> Array:
        """Gains of placements, including the rests of those that were tried, (m,)."""
        rests = {tried.tobytes(): rest for tried, rest in zip(self.tried, self.rests.tolist(), strict=True)}
        gains: Array = self.gains(codes) + [rests.get(one.tobytes(), 0.0) for one in codes]
        return gains

    @on_one_core
    def of_held(self, held: Array) -> Array:
        """Gains of placements given as which choices they have, (m, p) -> (m,)."""
        pairs = ((held @ self.pairs) * held).sum(1) / 2
        gains: Array = self.common * held.any(1) + held @ self.singles + pairs
        return gains


class _Terms(NamedTuple):
    """Effects of one draw: common to all placements with attention, of kinds wherever they stand, of pairs of
    choices, (p, p), and rests of placements, (t,)."""

    common: float
    kinds: Array
    pairs: Array
    rests: Array


@dataclass(frozen=True, eq=False)
class _Design:
    """Which terms contribute to each of n runs.

    Args:
        choices: p attentions with their locations.
        held: which choices each run has, (n, p).
        rows: number of each run's placement, (n,).
    """

    choices: tuple[Choice, ...]
    held: Array
    rows: Numbers

    @cached_property
    def kinds(self) -> Numbers:
        """Attention of each choice, (p,)."""
        return np.array([code for _, code in self.choices], dtype=np.int64)

    @cached_property
    def attends(self) -> Array:
        """Which runs have any attention, (n,) of 0 and 1."""
        attends: Array = self.held.any(1).astype(float)
        return attends

    @cached_property
    def apart(self) -> Array:
        """Which choices stand at different locations, (p, p) of 0 and 1."""
        where = np.array([location for location, _ in self.choices], dtype=np.int64)
        apart: Array = (where[:, None] != where).astype(float)
        return apart

    def drawn(self, variances: Variances, n_locations: int, generator: np.random.Generator) -> _Terms:
        """A draw from the prior."""
        upper = np.triu(generator.standard_normal(self.apart.shape), 1)
        return _Terms(
            variances.common**0.5 * generator.standard_normal(),
            (variances.kind / n_locations) ** 0.5 * generator.standard_normal(self.kinds.max(initial=0) + 1),
            (variances.pair / n_pairs(n_locations)) ** 0.5 * self.apart * (upper + upper.T),
            variances.rest**0.5 * generator.standard_normal(self.rows.max(initial=0) + 1),
        )

    def sums(self, terms: _Terms) -> Array:
        """Sum of the terms in each run, (n,)."""
        pairs = ((self.held @ terms.pairs) * self.held).sum(1) / 2
        whole = self.attends * (terms.common + terms.rests[self.rows])
        added: Array = self.held @ terms.kinds[self.kinds] + pairs + whole
        return added

    def corrected(self, terms: _Terms, variances: Variances, n_locations: int, pull: Array) -> _Terms:
        """The terms corrected by the pull of the runs, (n,)."""
        by_choice = self.held.T @ pull
        pairs = self.held.T @ (pull[:, None] * self.held)
        by_row = np.bincount(self.rows, pull * self.attends, len(terms.rests))
        return _Terms(
            terms.common + variances.common * float(self.attends @ pull),
            terms.kinds + variances.kind / n_locations * np.bincount(self.kinds, by_choice, len(terms.kinds)),
            terms.pairs + variances.pair / n_pairs(n_locations) * self.apart * pairs,
            terms.rests + variances.rest * by_row,
        )


def _by_group(held: Array, groups: Numbers, variance: float | Array, generator: np.random.Generator) -> Array:
    """Draw of effects that each run's choices have only in its group, summed for each run, (n,).

    Args:
        held: which choices each run has, (n, p).
        groups: (n,).
        variance: of one choice, for all runs or for each, (n,).
        generator: of the draw.
    """
    drawn = generator.standard_normal((groups.max(initial=0) + 1, held.shape[1]))
    total: Array = np.sqrt(variance) * (held * drawn[groups]).sum(1)
    return total


@lru_cache(maxsize=3)
def _whitened(
    runs: Runs, choices: tuple[Choice, ...], variances: Variances, by_images: Variances
) -> tuple[Array, Array]:
    """Lower Cholesky factor of the scores' covariance, (n, n), and the choices of the runs, whitened, (n, p).

    For all full blocks, a search finds these in the cache; only the rows of the remaining runs are computed.

    Args:
        runs: unscored.
        choices: p of them.
        variances: of all parts except own effects.
        by_images: the share of these variances that comes from the images.
    """
    n_before = (len(runs.seeds) - 1) // _BLOCK * _BLOCK
    before, last = runs.first(n_before), runs.without(n_before)
    shown = variances.gains(last.rungs)[:, None] * last.holds(choices)
    covariance = covariance_of(Kernels.of(last), variances, by_images)
    if not n_before:
        factor = cholesky(covariance)
        return factor, solve(factor, shown)
    above, held = _whitened(before, choices, variances, by_images)
    across = solve(above, Kernels.of(before, last).covariance(variances, by_images))
    corner = cholesky(covariance - across.T @ across)
    factor = np.block([[above, np.zeros(across.shape)], [across.T, corner]])
    return factor, np.vstack([held, solve(corner, shown - across.T @ held)])


@lru_cache(maxsize=8)
def _scales(
    runs: Runs,
    choices: tuple[Choice, ...],
    variances: Variances,
    by_images: Variances,
    expected: float,
    start: float,
) -> Array:
    """Draws of the variances of the choices' own effects given some runs, (d, p)."""
    if not choices:
        return np.zeros((0, 0))
    factor, held = _whitened(runs.unscored, choices, variances, by_images)
    return local_scales(held.T @ held, held.T @ solve(factor, runs.scores), expected, start)
