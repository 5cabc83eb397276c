"""IoUs as scores about 0 with a spread of 1, in which a collapsed run does not drown all others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nas_attn.analysis.images import Array

_BEND = 2.0
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Bend:
    """A scale that is linear above two spreads below the middle, and a logarithm below.

    A run that has learned nothing lies tens of points below the others, and a linear model would spend all its
    effects on it.

    Args:
        middle: the IoU of score 0.
        spread: the IoUs' difference of one score.
    """

    middle: float
    spread: float

    @classmethod
    def of(cls, ious: Array) -> Bend:
        """By the median and the quartiles of the finite ones; 0 and 1 where there are none.

        Shape: (n,).
        """
        known = ious[np.isfinite(ious)]
        if not len(known):
            return cls(0.0, 1.0)
        low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
        return cls(float(middle), max(float(high - low) / 1.35, _LEAST_SPREAD))

    def scores(self, ious: Array) -> Array:
        """Shape: (n,) -> (n,); nan stays nan."""
        scores: Array = (ious - self.middle) / self.spread
        far = scores < -_BEND
        scores[far] = -_BEND - np.log1p(-scores[far] - _BEND)
        return scores

    def iou(self, score: float) -> float:
        """The IoU of a score: the inverse of ``scores``."""
        straight = score if score >= -_BEND else -_BEND - math.expm1(-score - _BEND)
        return self.middle + self.spread * straight
