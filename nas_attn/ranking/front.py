"""How likely each placement is to be on the front, all that is not known taken together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from nas_attn.ranking.images import Array

DRAWS = 2000
_AT_ONCE = 200


def front_probabilities(
    levels: Sequence[float],
    deviations: Sequence[float],
    influences: Array,
    costs: Sequence[float],
    degrees_of_freedom: float,
) -> tuple[float, ...]:
    """The share of draws of all levels in which a placement is on the front.

    In each draw the images are drawn anew, the same for all placements, and so is what the seeds leave open of
    each placement's level. Costs are known. The draws are the same at every call.

    Args:
        levels: expected IoU of each of n placements.
        deviations: standard deviation of each level over seeds.
        influences: of each group of images on each level, (n, G); G may be 0.
        costs: of each placement.
        degrees_of_freedom: of the deviations.
    """
    order = np.argsort(np.asarray(costs, dtype=float), kind="stable")
    dear = np.asarray(costs, dtype=float)[order]
    as_dear = np.searchsorted(dear, dear, side="right") - 1
    level, deviation, weights = (
        np.asarray(values, dtype=float)[order] for values in (levels, deviations, influences)
    )
    scales, normals = np.random.default_rng(0), np.random.default_rng(1)
    images = _image_draws(weights.shape[1])
    times = np.zeros(len(order))
    for start in range(0, DRAWS, _AT_ONCE):
        # The noise's own scale is drawn too: that makes the levels Student's.
        scale = np.sqrt(degrees_of_freedom / scales.chisquare(degrees_of_freedom, (_AT_ONCE, 1)))
        drawn = level + scale * deviation * normals.standard_normal((_AT_ONCE, len(level)))
        drawn += images[start : start + _AT_ONCE] @ weights.T
        best = np.maximum.accumulate(drawn, axis=1)[:, as_dear]
        times += (drawn >= best).sum(0)
    shares = np.empty(len(order))
    shares[order] = times / DRAWS
    return tuple(shares.tolist())


@lru_cache(maxsize=4)
def _image_draws(groups: int) -> Array:
    """How many times more than once each group is drawn, (DRAWS, G)."""
    if groups == 0:
        return np.zeros((DRAWS, 0))
    counts = np.random.default_rng(2).multinomial(groups, np.full(groups, 1 / groups), DRAWS)
    return counts.astype(float) - 1
