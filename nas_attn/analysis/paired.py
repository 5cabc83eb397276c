"""Compare two placements under the same fresh seeds by their own differences alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas_attn.analysis.additive import mean, squares
from nas_attn.analysis.evidence import Estimate, Evidence, estimate_of
from nas_attn.analysis.images import ImagePart, image_part, paired_influences, pooled_repeated
from nas_attn.analysis.noise import LEAST_FREEDOM, PooledSd
from nas_attn.analysis.power import ratio_shown, seeds_needed

LEAST_SEEDS = LEAST_FREEDOM + 1
"""Fewest seeds that determine the noise of one pair well enough for an interval."""


@dataclass(frozen=True)
class Pair:
    """The runs of two placements with their common seeds, without collapsed ones.

    No other placement has an influence: the results of a third one with these seeds cannot widen the interval.

    Args:
        one: IoU of the first, by seed; at least one.
        other: IoU of the second, with the same seeds.
        images: the images' contribution to the variance of the mean difference; None if images were not
            counted.
    """

    one: Sequence[float]
    other: Sequence[float]
    images: ImagePart | None

    @classmethod
    def of(cls, evidence: Evidence, one: int, other: int) -> Pair | None:
        """The pair of two rows; None if they share no seed with which neither collapsed."""
        first, second = evidence.clean[one], evidence.clean[other]
        seeds = [seed for seed in first if seed in second]
        if not seeds:
            return None
        images = paired_influences(evidence.influences[one], evidence.influences[other], seeds)
        part = image_part(images, len(seeds), pooled_repeated([images]))
        return cls([first[seed] for seed in seeds], [second[seed] for seed in seeds], part)

    @property
    def means(self) -> tuple[float, float]:
        """Mean IoU of both over the common seeds."""
        return mean(self.one), mean(self.other)

    @property
    def estimate(self) -> Estimate:
        """The mean difference; its noise is the scatter of the differences themselves, with n - 1 degrees of
        freedom."""
        return self._estimate(len(self.one))

    def gain_shown(self, confidence: float) -> float | None:
        """The gain that this number of seeds detects with a power of 80 %; None for fewer than ``LEAST_SEEDS``."""
        estimate = self.estimate
        if estimate.error is None or len(self.one) < LEAST_SEEDS:
            return None
        return estimate.error * ratio_shown(estimate.degrees_of_freedom, confidence)

    def seeds_needed(self, gain: float, confidence: float) -> int | None:
        """Number of seeds that detect a gain with a power of 80 %, if the noise is as measured.

        None if no number does, or if fewer than ``LEAST_SEEDS`` have run.

        Args:
            gain: above 0, in units of IoU.
            confidence: of the interval.
        """

        def error(n_seeds: int) -> tuple[float, float]:
            estimate = self._estimate(n_seeds)
            return estimate.error or 0.0, estimate.degrees_of_freedom

        needed = None if len(self.one) < LEAST_SEEDS else seeds_needed(gain, error, confidence)
        return None if needed is None else max(needed, LEAST_SEEDS)

    @property
    def _sd(self) -> float | None:
        if len(self.one) < 2:
            return None
        return math.sqrt(squares(self._differences) / (len(self.one) - 1))

    @property
    def _differences(self) -> list[float]:
        return [one - other for one, other in zip(self.one, self.other, strict=True)]

    def _estimate(self, n_seeds: int) -> Estimate:
        """The estimate with this many seeds of the same noise."""
        noise = None if self._sd is None else PooledSd(self._sd, n_seeds - 1)
        return estimate_of(mean(self._differences), noise, n_seeds, self._images(n_seeds))

    def _images(self, n_seeds: int) -> ImagePart | None:
        """The image part with this many seeds, which average out only the variance specific to each run."""
        if self.images is None:
            return None
        repeated = self.images.repeated * len(self.one) / n_seeds
        variance = self.images.variance - self.images.repeated + repeated
        return ImagePart(max(0.0, variance), repeated, self.images.groups)
