"""One synthetic image with its mask: bodies, look-alikes and clutter under uneven light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_attn.data import outlines
from nas_attn.data.outlines import Field, Outline, Region

CLASSES = ("background", "round", "angular", "ring")
_OUTLINES: tuple[tuple[Outline, ...], ...] = (
    (outlines.disc, outlines.ellipse),
    (outlines.triangle, outlines.bar, outlines.cross),
    (outlines.ring,),
)
_PLAIN, _STRIPES, _DOTS = range(3)


@dataclass(frozen=True)
class Difficulty:
    """How hard a scene is to segment.

    Args:
        noise: standard deviation of the grain, as a share of the full range of brightness.
        blur: largest standard deviation of the point spread, in pixels.
        clutter: share of the background that bears the texture of the bodies.
        lookalikes: probability that a body is one that does not count.
        shade: largest relative change of brightness across the image.
        contrast: least difference in brightness between a body and what is behind it, as a share of the range.
        texture: amplitude of the stripes and dots, as a share of the full range.
        marked: share of the look-alikes that only the marker of the image gives away.
    """

    noise: float
    blur: float
    clutter: float
    lookalikes: float
    shade: float
    contrast: float
    texture: float
    marked: float


@dataclass(frozen=True)
class _Body:
    centre: tuple[float, float]
    radius: float
    turn: float
    outline: Outline
    polarity: int
    texture: int
    label: int


def draw(
    size: int, difficulty: Difficulty, random: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """An image (3, size, size) and its mask (size, size), both uint8.

    What counts is a striped body of the polarity of the image's marker: brighter than what is behind it
    where the bar at the border is bright, darker where the bar is dark. Smooth bodies, broken rings and
    bodies of the other polarity are background, as are patches of stripes or dots without an outline.

    Args:
        size: side in pixels.
        difficulty: how hard it is to segment.
        random: from which everything is drawn.
    """
    mask = np.zeros((size, size), dtype=np.uint8)
    canvas = _backdrop(size, random)
    polarity = int(random.choice([-1, 1]))
    for texture in (_STRIPES, _DOTS):
        _add_clutter(canvas, texture, difficulty, random)
    for centre, radius in _places(size, random):
        _add_body(canvas, mask, _body(centre, radius, polarity, difficulty, random), difficulty, random)
    _add_marker(canvas, mask, polarity, random)
    return _photograph(canvas, difficulty, random), mask


def _backdrop(size: int, random: np.random.Generator) -> Field:
    tint = random.normal(0, 0.05, (3, 1, 1))
    return 0.5 + tint + 0.08 * _smooth(size, 1, random, cells=3) + 0.02 * _smooth(size, 3, random, cells=2)


def _places(size: int, random: np.random.Generator) -> list[tuple[tuple[float, float], float]]:
    """Centres and radii of bodies that do not touch each other."""
    places: list[tuple[tuple[float, float], float]] = []
    wanted = int(random.integers(4, 7))
    for row, column, share in random.uniform(0, 1, (80, 3)):
        centre, radius = ((0.1 + 0.8 * row) * size, (0.1 + 0.8 * column) * size), (0.13 + 0.06 * share) * size
        if all(np.hypot(centre[0] - y, centre[1] - x) > 1.1 * (radius + other) for (y, x), other in places):
            places.append((centre, radius))
        if len(places) == wanted:
            break
    return places


def _body(
    centre: tuple[float, float],
    radius: float,
    polarity: int,
    difficulty: Difficulty,
    random: np.random.Generator,
) -> _Body:
    label = int(random.integers(1, len(CLASSES)))
    choices = _OUTLINES[label - 1]
    outline, turn = choices[int(random.integers(len(choices)))], random.uniform(0, 2 * np.pi)
    if random.uniform() >= difficulty.lookalikes:
        return _Body(centre, radius, turn, outline, polarity, _STRIPES, label)
    if random.uniform() < difficulty.marked:
        return _Body(centre, radius, turn, outline, -polarity, _STRIPES, 0)
    if outline is outlines.ring and random.uniform() < 0.5:
        return _Body(centre, radius, turn, outlines.broken_ring, polarity, _STRIPES, 0)
    return _Body(centre, radius, turn, outline, polarity, _PLAIN, 0)


def _add_body(
    canvas: Field, mask: npt.NDArray[np.uint8], body: _Body, difficulty: Difficulty, random: np.random.Generator
) -> None:
    """Draw a body over the canvas and label it; a ring with what it encloses."""
    y, x = outlines.local_coordinates(mask.shape[0], body.centre, body.radius, body.turn)
    region = body.outline(y, x)
    step = body.polarity * random.uniform(1, 2) * difficulty.contrast + random.normal(0, 0.03, (3, 1, 1))
    canvas += region * (step + difficulty.texture * _texture(mask.shape[0], body.texture, random))
    mask[region | outlines.hole(y, x) if body.outline is outlines.ring else region] = body.label


def _add_clutter(canvas: Field, texture: int, difficulty: Difficulty, random: np.random.Generator) -> None:
    """Lay patches without an outline, bearing the texture of the bodies, over the backdrop."""
    size = canvas.shape[-1]
    field = _smooth(size, 1, random, cells=5)[0]
    cover = np.clip((field - np.quantile(field, 1 - difficulty.clutter / 2)) / 0.3, 0, 1)
    step = random.uniform(-1, 1) * difficulty.contrast + random.normal(0, 0.03, (3, 1, 1))
    canvas += cover * (step + difficulty.texture * _texture(size, texture, random))


def _texture(size: int, texture: int, random: np.random.Generator) -> Field:
    """Stripes or dots, (size, size), of mean about 0 and between -1 and 1, in any direction."""
    if texture == _PLAIN:
        return np.zeros((size, size))
    wave = max(3.6, size / 14) * random.uniform(0.95, 1.15)
    turn, phase = random.uniform(0, np.pi), random.uniform(0, 2 * np.pi, 2)
    y, x = outlines.local_coordinates(size, (0, 0), wave / (2 * np.pi), turn)
    waves: Field = np.sin(y + phase[0])
    if texture == _STRIPES:
        return waves
    dots: Field = 1.3 * waves * np.sin(x + phase[1])
    return dots


def _add_marker(canvas: Field, mask: npt.NDArray[np.uint8], polarity: int, random: np.random.Generator) -> None:
    """Put a bar somewhere along the border, as bright or as dark as the bodies that count."""
    size = canvas.shape[-1]
    length, width = round(size * 0.4), max(2, round(size * 0.07))
    start = int(random.integers(0, size - length + 1))
    bar: Region = np.zeros((size, size), dtype=bool)
    bar[:width, start : start + length] = True
    bar = np.rot90(bar, int(random.integers(4)))
    canvas[:, bar] = 0.5 + 0.45 * polarity
    mask[bar] = 0


def _photograph(canvas: Field, difficulty: Difficulty, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The canvas under slanting light, out of focus, with grain, as 8-bit values."""
    size = canvas.shape[-1]
    y, _ = outlines.local_coordinates(size, (size / 2, size / 2), size / 2, random.uniform(0, 2 * np.pi))
    lit = canvas * (1 + random.uniform(-0.5, 0.5) * difficulty.shade * y)
    grain = random.normal(0, difficulty.noise, canvas.shape)
    seen = _blurred(lit, random.uniform(0.3, 1) * difficulty.blur) + grain
    return np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)


def _smooth(size: int, channels: int, random: np.random.Generator, cells: int) -> Field:
    """Random fields (channels, size, size) of standard deviation about 1/2 that vary over 1/cells of the side."""
    coarse = random.normal(0, 1, (channels, cells + 1, cells + 1))
    at = np.linspace(0, cells, size)
    weights = np.maximum(0, 1 - abs(at[:, None] - np.arange(cells + 1)))
    weights = weights**2 * (3 - 2 * weights)
    field: Field = weights @ coarse @ weights.T
    return field


def _blurred(image: Field, sigma: float) -> Field:
    """Gaussian blur of (C, H, W); at the border over what lies inside."""
    if sigma < 0.05:
        return image
    at = np.arange(image.shape[-1])
    weights = np.exp(-((at[:, None] - at) ** 2) / (2 * sigma**2))
    weights /= weights.sum(axis=1, keepdims=True)
    blurred: Field = weights @ image @ weights.T
    return blurred
