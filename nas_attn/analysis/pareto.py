"""Which points are worth having when IoU should be high and cost low."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas_attn.errors import UsageError


def pareto_front(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """The points that no other point dominates, in O(n log n).

    A point dominates another when its IoU is at least as high and its cost at most as high, and one of the
    two is strictly better. Equal points do not dominate each other: all of them are on the front.

    Args:
        points: (IoU, cost) pairs; infinities are allowed.
    Returns:
        indices of the front, ascending.
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
