"""IoUs as scores about 0 with a spread of 1, in which a collapsed run does not drown all others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.effect_model import Numbers
from nas_attn.analysis.images import Array

FAR = 5.0
"""Spreads below the median of its seed, or below the plain U-Net: what a run that fell farther, or that failed,
counts as."""
_IQR_PER_SD = 1.349
_LEAST_SPREAD = 1e-5
_LEAST_TOGETHER = 4


@dataclass(frozen=True, eq=False)
class Scale:
    """What the IoUs of each rung are measured by.

    Args:
        middles: the IoU of score 0, (rungs,).
        spreads: the IoUs' difference of one score, (rungs,).
        least: scores above the median of a run's seed that it counts as at least, (rungs,).
    """

    middles: Array
    spreads: Array
    least: Array

    @classmethod
    def of(
        cls, ious: Array, seeds: Numbers, rungs: Numbers, plain: NDArray[np.bool_], n_rungs: int, n_first: int
    ) -> Scale:
        """By the medians and the quartiles within the seeds of the first runs; 0 and 1 where nothing ran.

        What is no worse than the plain U-Net is not far below: where attention is worth much nearly everywhere,
        the plain U-Net and what adds nothing to it are the few that lie apart.

        Args:
            ious: (n,); -inf where a run failed.
            seeds: (n,).
            rungs: (n,).
            plain: which runs are the plain U-Net's, (n,).
            n_rungs: of which some may have no run.
            n_first: how many runs count; a rung that has none among them is measured by all of its runs.
        """
        is_first = np.arange(len(ious)) < n_first
        found = []
        for rung in range(n_rungs):
            here = np.isfinite(ious) & (rungs == rung)
            here = here & is_first if (here & is_first).any() else here
            middle, spread = _middle_and_spread(ious[here], seeds[here])
            left = within_groups(ious[here], seeds[here])[plain[here]] / spread
            found.append((middle, spread, min(0.0, float(np.median(left))) - FAR if len(left) else -FAR))
        middles, spreads, least = (np.array(column) for column in zip(*found, strict=True))
        return cls(middles, spreads, least)

    @classmethod
    def of_nothing(cls) -> Scale:
        """Of no run."""
        return cls(np.zeros(1), np.ones(1), np.full(1, -FAR))

    def scores(self, ious: Array, seeds: Numbers, rungs: Numbers) -> Array:
        """Far below the median of their seed raised to five spreads below it, or below the plain U-Net, (n,)."""
        medians, left = self._within_seeds(ious, seeds, rungs)
        scores: Array = medians + left.clip(min=self.least[rungs])
        return scores

    def raised(self, ious: Array, seeds: Numbers, rungs: Numbers) -> NDArray[np.bool_]:
        """Which runs, of those that succeeded, count as higher than they are, (n,)."""
        _, left = self._within_seeds(ious, seeds, rungs)
        raised: NDArray[np.bool_] = (left < self.least[rungs]) & np.isfinite(ious)
        return raised

    def _within_seeds(self, ious: Array, seeds: Numbers, rungs: Numbers) -> tuple[Array, Array]:
        """Medians of the runs' seeds, and how far above these the runs are, each (n,)."""
        finite = np.isfinite(ious)
        known = np.where(finite, ious, self.middles[rungs])
        scores: Array = (known - self.middles[rungs]) / self.spreads[rungs]
        left = within_groups(scores, seeds)
        return scores - left, np.where(finite, left, -np.inf)


def _middle_and_spread(ious: Array, seeds: Numbers) -> tuple[float, float]:
    if not len(ious):
        return 0.0, 1.0
    middle = float(np.median(ious))
    _, number, count = np.unique(seeds, return_inverse=True, return_counts=True)
    together = count[number] > 1
    few = together.sum() < _LEAST_TOGETHER
    left = ious - middle if few else within_groups(ious[together], seeds[together])
    low, high = np.quantile(left, (0.25, 0.75))
    return middle, max(float(high - low) / _IQR_PER_SD, _LEAST_SPREAD)


def within_groups(values: Array, groups: Numbers) -> Array:
    """Values less the median of their group, (n,)."""
    left = values.copy()
    for group in np.unique(groups):
        left[groups == group] -= np.median(values[groups == group])
    return left
