"""The outlines of the synthetic task, as depth below the edge on a grid of pixel centres."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]
Outline = Callable[[Field, Field], Field]
"""From coordinates in which the shape has a radius of about 1, (H, W) each, to how deep inside a pixel lies.

The depth is in the same unit, negative outside, and near the edge about the distance to it.
"""


def disc(y: Field, x: Field) -> Field:
    """A disc."""
    return 1 - np.hypot(y, x)


def ellipse(y: Field, x: Field) -> Field:
    """An ellipse, three to two."""
    radius = np.maximum(np.hypot(y / 0.8, x / 1.2), 1e-6)
    slope = np.maximum(np.hypot(y / 0.8**2, x / 1.2**2), 1e-6) / radius
    depth: Field = (1 - radius) / slope
    return depth


def square(y: Field, x: Field) -> Field:
    """A square with round corners."""
    return _box(y, x, 0.88, 0.88)


def rectangle(y: Field, x: Field) -> Field:
    """A rectangle with round corners, three to two."""
    return _box(y, x, 0.72, 1.1)


def triangle(y: Field, x: Field) -> Field:
    """An equilateral triangle with round corners."""
    turns = 2 * np.pi / 3 * np.arange(3)
    nearness = np.sum([np.exp(8 * (y * np.cos(turn) + x * np.sin(turn))) for turn in turns], axis=0)
    depth: Field = 0.75 - np.log(nearness) / 8
    return depth


def lobed(y: Field, x: Field) -> Field:
    """A body with three lobes."""
    depth: Field = 0.95 + 0.15 * np.cos(3 * np.arctan2(y, x)) - np.hypot(y, x)
    return depth


OUTLINES: tuple[Outline, ...] = (disc, ellipse, square, rectangle, triangle, lobed)


def local_coordinates(size: int, centre: tuple[float, float], radius: float, turn: float) -> tuple[Field, Field]:
    """Coordinates, (size, size) each, in which a turned shape has radius 1.

    Args:
        size: side of the image in pixels.
        centre: row and column in pixels.
        radius: of the shape in pixels.
        turn: in radians.
    """
    y, x = np.ogrid[:size, :size]
    y, x = (y - centre[0]) / radius, (x - centre[1]) / radius
    return np.cos(turn) * y - np.sin(turn) * x, np.sin(turn) * y + np.cos(turn) * x


def _box(y: Field, x: Field, height: float, width: float, corner: float = 0.25) -> Field:
    down, across = abs(y) - (height - corner), abs(x) - (width - corner)
    outside = np.hypot(np.maximum(down, 0), np.maximum(across, 0))
    depth: Field = corner - outside - np.minimum(np.maximum(down, across), 0)
    return depth
