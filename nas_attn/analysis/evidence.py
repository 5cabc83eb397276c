"""Estimates for each placement of a study and for each pair of placements, with their standard errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nas_attn.analysis.additive import SeedScores, mean
from nas_attn.analysis.collapse import Collapses, find_collapses
from nas_attn.analysis.finalists import LEAST_SEEDS, reported_scores, shared_ratio
from nas_attn.analysis.gains import Gains, gains_of
from nas_attn.analysis.images import (
    ImagePart,
    Influences,
    groups_of_rarest_class,
    image_part,
    influences,
    paired_influences,
    pooled_repeated,
)
from nas_attn.analysis.noise import Noise, PooledSd, own_noise, pooled_noise, unstable_rows
from nas_attn.analysis.quantiles import simultaneous_quantile, two_sided_quantile
from nas_attn.analysis.result import Interval
from nas_attn.analysis.runs import SelectedRuns, select_runs
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord


@dataclass(frozen=True)
class Estimate:
    """A mean, or a difference of means, with its standard error.

    Args:
        value: in units of IoU.
        error: its standard deviation over draws of seeds, and of images if these were counted; None if the noise
            is not known.
        degrees_of_freedom: of the error.
        n_seeds: number of seeds behind the value.
        image_error: the part of ``error`` from draws of images; 0 if these were not counted.
        seed_freedom: degrees of freedom of the part from draws of seeds.
    """

    value: float
    error: float | None
    degrees_of_freedom: float
    n_seeds: int
    image_error: float = 0.0
    seed_freedom: float = 0.0

    def interval(self, confidence: float) -> Interval | None:
        """Student's interval; None if the noise is not known or has too few degrees of freedom."""
        reach = self.reach(confidence)
        return None if reach is None else Interval.around(self.value, reach, self.fewest)

    def reach(self, confidence: float) -> float | None:
        """Half the width of Student's interval, for any degrees of freedom; None if the noise is not known."""
        return None if self.error is None else two_sided_quantile(confidence, self.degrees_of_freedom) * self.error

    @property
    def fewest(self) -> float:
        """Degrees of freedom of the least certain part of the error."""
        return min(self.degrees_of_freedom, self.seed_freedom)


@dataclass(frozen=True, eq=False)
class Evidence:
    """The comparable runs of a study; each quantity is computed at first use.

    Args:
        selected: the runs. A placement is identified by its row in ``selected.runs``.
    """

    selected: SelectedRuns

    @classmethod
    def of(cls, records: Sequence[TrialRecord]) -> Evidence:
        """Evidence from the records of a study, in any order."""
        return cls(select_runs(records))

    @cached_property
    def plain(self) -> int | None:
        """Row of the plain U-Net; None if it was not run."""
        return next((row for row, run in enumerate(self.selected.runs) if run.is_plain), None)

    @cached_property
    def collapses(self) -> Collapses:
        """The runs that collapsed."""
        return find_collapses([run.scores for run in self.selected.runs], self.plain)

    @cached_property
    def clean(self) -> Sequence[SeedScores]:
        """Seed to IoU of each row, without collapsed runs."""
        return [self.collapses.clean(row, run.scores) for row, run in enumerate(self.selected.runs)]

    @cached_property
    def reported(self) -> Sequence[SeedScores]:
        """Seed to IoU of each row, only for seeds that may be reported."""
        return [
            scores if row == self.plain else reported_scores(scores, run.final, self._plain_scores)
            for row, (run, scores) in enumerate(zip(self.selected.runs, self.clean, strict=True))
        ]

    @cached_property
    def unstable(self) -> frozenset[int]:
        """Rows that scatter far more than the others."""
        return unstable_rows(self.reported)

    @cached_property
    def noise(self) -> Noise:
        """Noise between seeds, pooled over the rows that are not unstable.

        The runs by which a finalist was chosen form a row of their own. The choice depends on their mean, which
        says nothing about their scatter around it.
        """
        stable = [row for row in range(len(self.reported)) if row not in self.unstable]
        chosen_by = [
            {seed: iou for seed, iou in self.clean[row].items() if seed not in self.reported[row]}
            for row in stable
        ]
        return pooled_noise([*(self.reported[row] for row in stable), *chosen_by])

    @cached_property
    def noises(self) -> Sequence[Noise]:
        """The noise of each row."""
        return [
            own_noise(scores, self._plain_scores, self.noise) if row in self.unstable else self.noise
            for row, scores in enumerate(self.reported)
        ]

    @property
    def _plain_scores(self) -> SeedScores | None:
        return None if self.plain is None else self.clean[self.plain]

    @cached_property
    def gains(self) -> Gains:
        """Posterior of each row's gain over the plain U-Net, from the one model of all runs."""
        return gains_of([run.placement for run in self.selected.runs], self.clean, self.influences)

    @property
    def n_runs(self) -> int:
        """Number of runs available to estimate the gains."""
        return sum(len(scores) for scores in self.clean)

    @cached_property
    def tested(self) -> tuple[int, ...]:
        """Rows with attention that share at least two reported seeds with the plain U-Net; only these can be
        claimed."""
        if (plain := self._plain_scores) is None:
            return ()
        rows = (row for row in range(len(self.reported)) if row != self.plain)
        return tuple(row for row in rows if len(self.reported[row].keys() & plain.keys()) >= LEAST_SEEDS)

    @cached_property
    def shared_ratio(self) -> float:
        """Additional variance of a difference to the plain U-Net, beyond that of two runs, relative to one
        run's variance."""
        if (plain := self._plain_scores) is None or self.noise.pair is None:
            return 0.0
        return shared_ratio([self.reported[row] for row in self.tested], plain, self.noise.pair.sd**2 / 2)

    @cached_property
    def influences(self) -> Sequence[Influences]:
        """Influences of the images on each row's runs."""
        return influences([run.counts for run in self.selected.runs])

    @cached_property
    def repeated(self) -> tuple[float, float]:
        """Variance over images that is specific to one run, and the same for a pair of runs.

        Without the plain U-Net, the second is twice the first.
        """
        stable = [held for row, held in enumerate(self.influences) if row not in self.unstable]
        single = pooled_repeated([list(held.values()) for held in stable])
        if self.plain is None:
            return single, 2 * single
        plain = self.influences[self.plain]
        pairs = [paired_influences(held, plain, list(held)) for held in stable if held is not plain]
        return single, pooled_repeated(pairs)

    def row_of(self, placement: Placement) -> int | None:
        """The row of a placement; None if it has no comparable run."""
        return next((row for row, run in enumerate(self.selected.runs) if run.placement == placement), None)

    def mean(self, row: int) -> Estimate:
        """Mean IoU over the reported seeds, or over all runs if all of them collapsed."""
        scores = self.reported[row] or self.selected.runs[row].scores
        held = self.influences[row]
        images = [held[seed] for seed in scores if seed in held]
        part = image_part(images, len(scores), self.repeated[0])
        return estimate_of(mean(scores.values()), self.noises[row].run, len(scores), part)

    def to_baseline(self, row: int) -> Estimate | None:
        """The paired difference to the plain U-Net; None if they share no seed or it was not run."""
        return None if self.plain is None else self.difference(row, self.plain)

    def difference(self, one: int, other: int) -> Estimate | None:
        """Mean difference of one row to another over the seeds reported for both; None if there are none.

        Swapping the rows changes only the sign.
        """
        first, second = self.reported[one], self.reported[other]
        shared = [seed for seed in first if seed in second]
        if not shared:
            return None
        images = paired_influences(self.influences[one], self.influences[other], shared)
        part = image_part(images, len(shared), self.repeated[1])
        value = mean(first[seed] - second[seed] for seed in shared)
        return estimate_of(value, self._pair_noise(one, other), len(shared), part)

    def together(self, estimate: Estimate, confidence: float) -> Interval | None:
        """An interval that is simultaneous with those of all other tested rows.

        Args:
            estimate: a difference between two of them, or to the plain U-Net.
            confidence: probability that all differences to the plain U-Net lie in their intervals.
        Returns:
            None if the noise is not known or has too few degrees of freedom.
        """
        if estimate.error is None:
            return None
        correlation = (1 + self.shared_ratio) / (2 + self.shared_ratio)
        number = max(1, len(self.tested))
        seeds = math.sqrt(max(0.0, estimate.error**2 - estimate.image_error**2))
        half = seeds * simultaneous_quantile(confidence, estimate.seed_freedom, number, correlation)
        images = self._image_reach(estimate, confidence)
        fewest = min(estimate.seed_freedom, self._image_freedom) if images else estimate.seed_freedom
        return Interval.around(estimate.value, math.hypot(half, images), fewest)

    def _image_reach(self, estimate: Estimate, confidence: float) -> float:
        """Half the width of an interval over images alone, simultaneous for all placements that were tried.

        Fresh seeds are judged on the same images, and these images influenced which placements were tested.
        """
        if self.image_groups is None or estimate.image_error == self.image_variance == 0:
            return 0.0
        error = max(estimate.image_error, math.sqrt(self.image_variance))
        n_tried = max(1, sum(not run.is_plain for run in self.selected.runs))
        return error * simultaneous_quantile(confidence, self._image_freedom, n_tried, 0.5)

    @property
    def _image_freedom(self) -> int:
        """Degrees of freedom of the image part; 0 if images were not counted."""
        return 0 if self.image_groups is None else (self.image_groups - 1) * max(1, len(self.tested))

    @cached_property
    def image_variance(self) -> float:
        """Variance of a difference to the plain U-Net over draws of images, averaged over the tested
        placements."""
        estimates = [estimate for row in self.tested if (estimate := self.to_baseline(row)) is not None]
        return mean(estimate.image_error**2 for estimate in estimates) if estimates else 0.0

    @property
    def image_groups(self) -> int | None:
        """G; None if no run's images were counted."""
        return next((len(held) for by_seed in self.influences for held in by_seed.values()), None)

    @cached_property
    def fewest_groups_of_a_class(self) -> int | None:
        """Number of groups of images in which the rarest class occurs; None if it was not counted."""
        counts = next((held for run in self.selected.runs for held in run.counts.values()), None)
        return None if counts is None else groups_of_rarest_class(counts)

    def _pair_noise(self, one: int, other: int) -> PooledSd | None:
        """The noise of a difference between two placements: that of the noisier one, increased for the plain
        U-Net."""
        pairs = [pair for pair in (self.noises[one].pair, self.noises[other].pair) if pair is not None]
        louder = max(pairs, key=lambda pair: pair.sd, default=None)
        if louder is None or louder is not self.noise.pair or self.plain not in (one, other):
            return louder
        return replace(louder, sd=louder.sd * math.sqrt(1 + self.shared_ratio / 2))


def estimate_of(value: float, noise: PooledSd | None, n_seeds: int, images: ImagePart | None) -> Estimate:
    """The variance of a hierarchical bootstrap over images and seeds, corrected for the part that it counts twice.

    Drawing images with replacement and then seeds with replacement gives the sum of both variances. That sum
    counts the part twice that images and seeds have in common (Owen 2007, doi:10.1214/07-AOAS122), and is too low
    for few seeds. So the common part is subtracted once, the variance between seeds is the pooled one, and the
    quantiles are Student's with Satterthwaite's degrees of freedom.

    Args:
        value: the mean.
        noise: of one of its terms; None if it is not known.
        n_seeds: number of terms.
        images: the image part; None if images were not counted.
    """
    if noise is None:
        return Estimate(value, None, 0.0, n_seeds)
    seeds = noise.sd**2 / n_seeds
    if images is None or images.variance == 0:
        freedom = noise.degrees_of_freedom
        return Estimate(value, math.sqrt(seeds), freedom, n_seeds, seed_freedom=freedom)
    variance = max(seeds, seeds + images.variance - images.repeated)
    doubt = seeds**2 / noise.degrees_of_freedom + images.variance**2 / (images.groups - 1)
    least = min(noise.degrees_of_freedom, images.groups - 1)
    freedom = max(least, variance**2 / doubt)
    apart = math.sqrt(variance - seeds)
    return Estimate(value, math.sqrt(variance), freedom, n_seeds, apart, noise.degrees_of_freedom)
