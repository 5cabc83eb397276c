"""Convert IoUs to scores about 0 with a spread of 1, without letting a collapsed run dominate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.effect_model import Numbers
from nas_attn.analysis.images import Array

FAR = 5.0
"""Largest distance, in spreads, below the median of its seed or below the plain U-Net that a run counts with.
Runs that fell farther, or that failed, count with this distance."""
_IQR_PER_SD = 1.349
_LEAST_SPREAD = 1e-5
_LEAST_TOGETHER = 4


@dataclass(frozen=True, eq=False)
class Scale:
    """Middle and spread of the IoUs of each rung.

    Args:
        middles: IoU of score 0, (rungs,).
        spreads: difference of IoU for a difference of one score, (rungs,).
        least: lowest score relative to the median of its seed, (rungs,); negative. Lower scores are raised to
            it.
    """

    middles: Array
    spreads: Array
    least: Array

    @classmethod
    def of(
        cls, ious: Array, seeds: Numbers, rungs: Numbers, plain: NDArray[np.bool_], n_rungs: int, n_first: int
    ) -> Scale:
        """The scale from the median and the quartiles within seeds of the first runs; 0 and 1 if nothing ran.

        A run no worse than the plain U-Net is not far below. If attention helps a lot nearly everywhere, the plain
        U-Net and the placements that add nothing to it are the few that lie apart.

        Args:
            ious: (n,); -inf if a run failed.
            seeds: (n,).
            rungs: (n,).
            plain: which runs are the plain U-Net's, (n,).
            n_rungs: number of rungs; some may have no run.
            n_first: number of runs used; a rung without any of them uses all of its runs.
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
        """The scale without any run."""
        return cls(np.zeros(1), np.ones(1), np.full(1, -FAR))

    def scores(self, ious: Array, seeds: Numbers, rungs: Numbers) -> Array:
        """Scores of the runs, (n,); those far below the median of their seed are raised to ``least`` relative
        to it."""
        medians, left = self._within_seeds(ious, seeds, rungs)
        scores: Array = medians + left.clip(min=self.least[rungs])
        return scores

    def raised(self, ious: Array, seeds: Numbers, rungs: Numbers) -> NDArray[np.bool_]:
        """Which successful runs have raised scores, (n,)."""
        _, left = self._within_seeds(ious, seeds, rungs)
        raised: NDArray[np.bool_] = (left < self.least[rungs]) & np.isfinite(ious)
        return raised

    def _within_seeds(self, ious: Array, seeds: Numbers, rungs: Numbers) -> tuple[Array, Array]:
        """Medians of the runs' seeds, and the distance of each run above its median, each (n,)."""
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
    """Values minus the median of their group, (n,)."""
    left = values.copy()
    for group in np.unique(groups):
        left[groups == group] -= np.median(values[groups == group])
    return left
