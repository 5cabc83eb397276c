"""Pareto-optimal placements, and the probability of each placement to be Pareto-optimal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from nas_attn.analysis.images import Array
from nas_attn.analysis.linear_algebra import on_one_core
from nas_attn.errors import UsageError

DRAWS = 2000
MOST = 256
"""Number of placements whose probability is drawn; those farther behind the front have probability 0."""
NEGLIGIBLE = 5e-4
"""Difference of IoU that is not worth any cost: half a tenth of a point, which rounding to a tenth hides."""
_AT_ONCE = 200
_JITTER, _LEAST_JITTER = 1e-8, 1e-18


def pareto_front(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """The Pareto-optimal points, in O(n log n).

    A point dominates another if its IoU is at least as high and its cost at most as high, and one of the two is
    strictly better. Equal points do not dominate each other: either all of them are Pareto-optimal or none.

    Args:
        points: (IoU, cost) pairs; infinities are allowed.
    Returns:
        indices of the Pareto-optimal points, ascending.
    Raises:
        UsageError: a coordinate is NaN, which is neither better nor worse than anything.
    """
    if missing := [index for index, point in enumerate(points) if any(math.isnan(value) for value in point)]:
        raise UsageError(f"points {', '.join(map(str, missing))} are NaN; leave out what was not measured")
    front: list[int] = []
    best_iou = -math.inf
    last: tuple[float, float] | None = None
    for index in sorted(range(len(points)), key=lambda index: (points[index][1], -points[index][0])):
        point = (points[index][0], points[index][1])
        if last is None or point[0] > best_iou or point == last:
            front.append(index)
            best_iou, last = point[0], point
    return tuple(sorted(front))


@on_one_core
def front_probabilities(
    levels: Sequence[float],
    covariance: Array,
    influences: Array,
    costs: Sequence[float],
    degrees_of_freedom: float,
    own: Array | None = None,
) -> tuple[float, ...]:
    """Share of posterior draws in which each placement is Pareto-optimal.

    Each draw resamples the images, the same for all placements, and all levels jointly from the uncertainty that
    the seeds leave: placements that share attentions rise and fall together. Costs are known. The draws are the
    same at every call.

    A more expensive placement counts as Pareto-optimal only if it is better than every cheaper one by more than
    ``NEGLIGIBLE``. Without this margin, chance alone would make a placement whose attention does nothing
    Pareto-optimal in every second draw.

    Args:
        levels: expected IoU of each of n placements.
        covariance: of the levels, from the uncertainty that the seeds leave, (n, n).
        influences: of each group of images on each level, (n, G); G may be 0.
        costs: of each placement.
        degrees_of_freedom: of the noise behind the covariance.
        own: contribution of the attentions' own effects in each draw, which is not normal, (DRAWS, n); None if
            the covariance includes it.
    """
    order = np.argsort(np.asarray(costs, dtype=float), kind="stable")
    dear = np.asarray(costs, dtype=float)[order]
    as_dear = np.searchsorted(dear, dear, side="right") - 1
    first = np.searchsorted(dear, dear, side="left")
    level, weights = (np.asarray(values, dtype=float)[order] for values in (levels, influences))
    root = _root(covariance[np.ix_(order, order)])
    scales, normals = np.random.default_rng(0), np.random.default_rng(1)
    images = _image_draws(weights.shape[1])
    times = np.zeros(len(order))
    for start in range(0, DRAWS, _AT_ONCE):
        # Drawing the scale of the noise, too, gives the levels Student's t distribution.
        scale = np.sqrt(degrees_of_freedom / scales.chisquare(degrees_of_freedom, (_AT_ONCE, 1)))
        apart = normals.standard_normal((_AT_ONCE, len(level))) @ root.T
        if own is not None:
            apart += own[start : start + _AT_ONCE, order]
        drawn = level + scale * apart
        drawn += images[start : start + _AT_ONCE] @ weights.T
        best = np.maximum.accumulate(drawn, axis=1)
        cheaper = np.where(first > 0, best[:, first - 1] + NEGLIGIBLE, -np.inf)
        times += ((drawn >= best[:, as_dear]) & (drawn > cheaper)).sum(0)
    shares = np.empty(len(order))
    shares[order] = times / DRAWS
    return tuple(shares.tolist())


def nearest_to_front(levels: Sequence[float], costs: Sequence[float]) -> list[int]:
    """Numbers of the ``MOST`` placements that are least behind the front.

    Args:
        levels: expected IoU of each placement.
        costs: of each placement.
    """
    level, cost = np.asarray(levels, dtype=float), np.asarray(costs, dtype=float)
    order = np.lexsort((-level, cost))
    behind = np.empty(len(order))
    behind[order] = np.maximum.accumulate(level[order]) - level[order]
    return sorted(np.argsort(behind, kind="stable")[:MOST].tolist())


def _root(covariance: Array) -> Array:
    """L with L L' = covariance, which may be singular, (n, n)."""
    jitter = _JITTER * float(np.diag(covariance).mean()) + _LEAST_JITTER
    return np.asarray(np.linalg.cholesky(covariance + jitter * np.eye(len(covariance))), dtype=np.float64)


@lru_cache(maxsize=4)
def _image_draws(groups: int) -> Array:
    """Number of times that each group is drawn, minus 1, (DRAWS, G)."""
    if groups == 0:
        return np.zeros((DRAWS, 0))
    counts = np.random.default_rng(2).multinomial(groups, np.full(groups, 1 / groups), DRAWS)
    return counts.astype(float) - 1
