"""What the runs of a study say of each placement and of each pair of them, with how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas_attn.placement import Placement
from nas_attn.ranking.additive import SeedScores, mean
from nas_attn.ranking.fresh import reported_scores, screening_seeds
from nas_attn.ranking.front import front_probabilities
from nas_attn.ranking.images import Array, ImagePart, Influences, image_part, influences, pooled_repeated
from nas_attn.ranking.noise import Noise, PooledSd, pooled_noise
from nas_attn.ranking.result import Interval
from nas_attn.ranking.runs import SelectedRuns, select_runs
from nas_attn.ranking.shrink import Levels, adjusted_mean, shrunken_levels
from nas_attn.ranking.student import two_sided_quantile
from nas_attn.ranking.unstable import own_noise, unstable_rows
from nas_attn.record import TrialRecord


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of means, with its standard error.

    Args:
        value: in units of IoU.
        error: its standard deviation over draws of seeds, and of images where these were counted; None where
            the noise is not known.
        degrees_of_freedom: of the error.
        n_seeds: how many seeds it rests on; not whole where two placements share none.
    """

    value: float
    error: float | None
    degrees_of_freedom: float
    n_seeds: float

    def interval(self, confidence: float) -> Interval | None:
        """Student's interval; None where the noise is not known."""
        if self.error is None:
            return None
        half = two_sided_quantile(confidence, self.degrees_of_freedom) * self.error
        return Interval(self.value - half, self.value + half)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The comparable runs of a study, weighed. Placements go by their row in ``selected.runs``.

    Args:
        selected: the runs.
        screening: the seeds that chose who got further ones; empty where none did.
        plain: row of the plain U-Net; None where it was not run.
        reported: seed to IoU, of the seeds that may be reported.
        unstable: rows with a run far out of the noise.
        noise: pooled over the stable placements.
        noises: of each row.
        levels: what to expect of each row.
    """

    selected: SelectedRuns
    screening: frozenset[int]
    plain: int | None
    reported: Sequence[SeedScores]
    unstable: frozenset[int]
    noise: Noise
    noises: Sequence[Noise]
    levels: Levels

    @classmethod
    def of(cls, records: Sequence[TrialRecord], *, chosen: bool = True) -> Evidence:
        """Weigh the records of a study.

        Args:
            records: in any order.
            chosen: some placements got further seeds for the scores of earlier ones.
        """
        selected = select_runs(records)
        runs = selected.runs
        table = [run.scores for run in runs]
        screening = screening_seeds(table) if chosen else frozenset()
        plain = next((row for row, run in enumerate(runs) if run.is_plain), None)
        plain_scores = None if plain is None else table[plain]
        reported = [reported_scores(scores, screening, plain_scores) for scores in table]
        unstable = unstable_rows(table) - {plain}
        # The plain U-Net is in the finals whatever its score: all of its runs tell of the noise.
        stable = [table[row] if row == plain else reported[row] for row in range(len(runs)) if row not in unstable]
        noise = pooled_noise(stable)
        return cls(
            selected=selected,
            screening=screening,
            plain=plain,
            reported=reported,
            unstable=frozenset(unstable),
            noise=noise,
            noises=[
                own_noise(seeds, plain_scores, noise) if row in unstable else noise
                for row, seeds in enumerate(reported)
            ],
            levels=shrunken_levels(table, noise.pair.sd if noise.pair else None, plain),
        )

    @cached_property
    def influences(self) -> Sequence[Influences]:
        """Of the images on each row's runs."""
        return influences([run.counts for run in self.selected.runs])

    @cached_property
    def repeated(self) -> tuple[float, float]:
        """Variance over images that one run has by itself, and that a pair of runs has."""
        stable = [held for row, held in enumerate(self.influences) if row not in self.unstable]
        return _repeated(stable, self.influences, self.plain)

    def row_of(self, placement: Placement) -> int | None:
        """The row of a placement; None where it has no comparable run."""
        return next((row for row, run in enumerate(self.selected.runs) if run.placement == placement), None)

    def mean(self, row: int) -> Estimate:
        """Mean IoU over the reported seeds."""
        scores = self.reported[row]
        held = self.influences[row]
        images = [held[seed] for seed in scores if seed in held]
        part = image_part(images, self.repeated[0]) if len(images) == len(scores) else None
        return _estimate(mean(scores.values()), self.noises[row].run, len(scores), part)

    def to_plain(self, row: int) -> Estimate | None:
        """The paired difference to the plain U-Net; None where they share no seed, or it was not run."""
        if self.plain is None or not any(
            seed in self.selected.runs[self.plain].scores for seed in self.reported[row]
        ):
            return None
        return self._paired(row, self.plain, self.reported[row], self.selected.runs[self.plain].scores)

    def difference(self, one: int, other: int) -> Estimate:
        """How much better one row is than another: paired where they share seeds, else freed of the seeds' effects
        as the additive model estimates them."""
        first, second = self.reported[one], self.reported[other]
        if any(seed in second for seed in first):
            return self._paired(one, other, first, second)
        effects = self.levels.effects
        value = adjusted_mean(first, effects) - adjusted_mean(second, effects)
        n_seeds = 2.0 / (1.0 / len(first) + 1.0 / len(second))
        return _estimate(value, self._louder(one, other), n_seeds, None)

    @property
    def image_groups(self) -> int | None:
        """G; None where no run's images were counted."""
        return next((len(held) for by_seed in self.influences for held in by_seed.values()), None)

    def front_probabilities(self, costs: Sequence[float | None]) -> tuple[float | None, ...]:
        """How likely each row is to be on the front; None where its cost or the noise is not known.

        Args:
            costs: of each row.
        """
        pair = self.noise.pair
        known = [row for row, cost in enumerate(costs) if cost is not None]
        if pair is None or not known:
            return (None,) * len(costs)
        factors, groups = self.levels.factors, self.image_groups or 0
        images = np.zeros((len(known), groups))
        for place, row in enumerate(known):
            if held := list(self.influences[row].values()):
                images[place] = factors[row] * np.mean(held, axis=0)
        shares = front_probabilities(
            [self.levels.expected[row] for row in known],
            [self._deviation(row) for row in known],
            images,
            [cost for cost in costs if cost is not None],
            pair.degrees_of_freedom,
        )
        found = dict(zip(known, shares, strict=True))
        return tuple(found.get(row) for row in range(len(costs)))

    def _deviation(self, row: int) -> float:
        """Of a row's level, given its scores."""
        pair = self.noises[row].pair
        n_seeds = len(self.selected.runs[row].scores)
        return 0.0 if pair is None else pair.sd * math.sqrt(self.levels.factors[row] / (2 * n_seeds))

    def _paired(self, one: int, other: int, first: SeedScores, second: SeedScores) -> Estimate:
        shared = [seed for seed in first if seed in second]
        images = _pairs(self.influences[one], self.influences[other], shared)
        part = image_part(images, self.repeated[1]) if len(images) == len(shared) else None
        value = mean(first[seed] - second[seed] for seed in shared)
        return _estimate(value, self._louder(one, other), len(shared), part)

    def _louder(self, one: int, other: int) -> PooledSd | None:
        """The noise of a difference between two placements: the louder one's."""
        pairs = [pair for pair in (self.noises[one].pair, self.noises[other].pair) if pair is not None]
        return max(pairs, key=lambda pair: pair.sd, default=None)


def _estimate(value: float, noise: PooledSd | None, n_seeds: float, images: ImagePart | None) -> Estimate:
    """The variance of a hierarchical bootstrap over images and seeds, without what it counts twice.

    Drawing images with replacement, and then seeds with replacement, gives the sum of both variances. It is too
    high by the part that images and seeds have together, which is in both (Owen 2007, doi:10.1214/07-AOAS122), and
    too low for few seeds. So that part is taken off, the seeds' variance is the pooled one, and the quantiles
    are Student's with Satterthwaite's degrees of freedom.
    """
    if noise is None:
        return Estimate(value, None, 0.0, n_seeds)
    seeds = noise.sd**2 / n_seeds
    if images is None or images.variance == 0:
        return Estimate(value, math.sqrt(seeds), noise.degrees_of_freedom, n_seeds)
    variance = max(seeds, seeds + images.variance - images.repeated)
    doubt = seeds**2 / noise.degrees_of_freedom + images.variance**2 / (images.groups - 1)
    least = min(noise.degrees_of_freedom, images.groups - 1)
    return Estimate(value, math.sqrt(variance), max(least, variance**2 / doubt), n_seeds)


def _repeated(stable: Sequence[Influences], found: Sequence[Influences], plain: int | None) -> tuple[float, float]:
    """For single runs and for pairs; without pairs to the plain U-Net twice that of single runs."""
    single = pooled_repeated([list(held.values()) for held in stable])
    if plain is None:
        return single, 2 * single
    pairs = [_pairs(held, found[plain], list(held)) for held in stable if held is not found[plain]]
    return single, pooled_repeated(pairs)


def _pairs(one: Influences, other: Influences, seeds: Sequence[int]) -> list[Array]:
    return [one[seed] - other[seed] for seed in seeds if seed in one and seed in other]
