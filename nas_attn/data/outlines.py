"""Where the shapes of the synthetic task lie: outlines on a grid of pixel centres."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]
Region = npt.NDArray[np.bool_]
Outline = Callable[[Field, Field], Region]
"""From coordinates in which the shape has radius 1, (H, W) each, to the pixels that it covers."""


def disc(y: Field, x: Field) -> Region:
    """A filled disc."""
    return y**2 + x**2 <= 1


def ellipse(y: Field, x: Field) -> Region:
    """A filled ellipse, about four to three."""
    return (y / 0.8) ** 2 + (x / 1.1) ** 2 <= 1


def triangle(y: Field, x: Field) -> Region:
    """A filled equilateral triangle."""
    slant = np.sqrt(3) / 2 * abs(x)
    inside: Region = np.maximum(y, slant - y / 2) <= 0.66
    return inside


def bar(y: Field, x: Field) -> Region:
    """A filled rectangle, about three to one."""
    return np.maximum(abs(y) / 0.45, abs(x) / 1.25) <= 1


def cross(y: Field, x: Field) -> Region:
    """Two bars across each other."""
    return (np.minimum(abs(y), abs(x)) <= 0.36) & (np.maximum(abs(y), abs(x)) <= 1.1)


def ring(y: Field, x: Field) -> Region:
    """A closed ring, without its hole."""
    radius = np.hypot(y, x)
    return (radius <= 1.1) & (radius >= 0.6)


def broken_ring(y: Field, x: Field) -> Region:
    """A ring that is open over a sixth of a turn or so."""
    return ring(y, x) & (abs(np.arctan2(y, x)) > 0.55)


def hole(y: Field, x: Field) -> Region:
    """What a ring encloses."""
    return np.hypot(y, x) < 0.6


def local_coordinates(size: int, centre: tuple[float, float], radius: float, turn: float) -> tuple[Field, Field]:
    """Coordinates, (size, size) each, in which a turned shape has radius 1.

    Args:
        size: side of the image in pixels.
        centre: row and column in pixels.
        radius: of the shape in pixels.
        turn: in radians.
    """
    along = np.arange(size, dtype=np.float64)
    y, x = (along[:, None] - centre[0]) / radius, (along - centre[1]) / radius
    return np.cos(turn) * y - np.sin(turn) * x, np.sin(turn) * y + np.cos(turn) * x
