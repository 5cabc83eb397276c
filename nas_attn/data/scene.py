"""One synthetic image with its mask: shapes, look-alikes and clutter under uneven light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_attn.data import outlines
from nas_attn.data.outlines import Field, Outline, Region

CLASSES = ("background", "round", "angular", "ring")
SHAPES: tuple[tuple[tuple[Outline, ...], int], ...] = (
    ((outlines.disc, outlines.ellipse), 1),
    ((outlines.square, outlines.rectangle, outlines.triangle), 2),
    ((outlines.ring,), 3),
)
LOOKALIKE_RING: Outline = outlines.broken_ring
TEXTURES = ("stripes", "dots")


@dataclass(frozen=True)
class Difficulty:
    """How hard a scene is to segment.

    Args:
        noise: standard deviation of the grain, as a share of the full range of brightness.
        blur: largest standard deviation of the point spread, in pixels.
        clutter: share of the background that bears the texture of the shapes.
        lookalikes: probability that a shape is one that does not count.
        shade: largest relative change of brightness across the image.
        contrast: smallest contrast of a shape's texture, as a share of the full range.
        marked: whether a marker decides which texture counts; otherwise stripes always do.
    """

    noise: float = 0.06
    blur: float = 0.8
    clutter: float = 0.25
    lookalikes: float = 0.4
    shade: float = 0.4
    contrast: float = 0.18
    marked: bool = True


def draw(
    size: int, difficulty: Difficulty, random: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """An image (3, size, size) and its mask (size, size), both uint8.

    Args:
        size: side in pixels.
        difficulty: how hard it is to segment.
        random: from which everything is drawn.
    """
    canvas = _smooth(size, 3, random, cells=3) * 0.25 + random.uniform(0.3, 0.6, (3, 1, 1))
    mask = np.zeros((size, size), dtype=np.uint8)
    counts = int(random.integers(len(TEXTURES))) if difficulty.marked else 0
    _scatter_clutter(canvas, difficulty, random)
    for centre, radius in _places(size, random):
        _add_shape(canvas, mask, centre, radius, counts, difficulty, random)
    if difficulty.marked:
        _add_marker(canvas, mask, counts, random)
    return _photograph(canvas, difficulty, random), mask


def _places(size: int, random: np.random.Generator) -> list[tuple[tuple[float, float], float]]:
    """Centres and radii of shapes that do not touch each other."""
    places: list[tuple[tuple[float, float], float]] = []
    wanted = int(random.integers(6, 10))
    for row, column, share in random.uniform(0, 1, (80, 3)):
        centre, radius = (row * size, column * size), (0.085 + 0.065 * share) * size
        if all(np.hypot(centre[0] - y, centre[1] - x) > 1.12 * (radius + other) for (y, x), other in places):
            places.append((centre, radius))
        if len(places) == wanted:
            break
    return places


def _add_shape(
    canvas: Field,
    mask: npt.NDArray[np.uint8],
    centre: tuple[float, float],
    radius: float,
    counts: int,
    difficulty: Difficulty,
    random: np.random.Generator,
) -> None:
    """Draw one shape and, unless it is a look-alike, label it.

    A look-alike has the texture that does not count in this image or, among rings, a gap.
    """
    outline_choices, label = SHAPES[int(random.integers(len(SHAPES)))]
    outline = outline_choices[int(random.integers(len(outline_choices)))]
    turn = random.uniform(0, 2 * np.pi)
    genuine = random.uniform() >= difficulty.lookalikes
    broken = not genuine and outline is outlines.ring and random.uniform() < 0.5
    texture = counts if genuine or broken else 1 - counts
    y, x = outlines.local_coordinates(mask.shape[0], centre, radius, turn)
    region = (LOOKALIKE_RING if broken else outline)(y, x)
    _paint(canvas, region.astype(np.float64), texture, difficulty, random)
    if genuine:
        mask[region | outlines.hole(y, x) if outline is outlines.ring else region] = label


def _scatter_clutter(canvas: Field, difficulty: Difficulty, random: np.random.Generator) -> None:
    """Lay patches without an outline, bearing the texture of the shapes, over the background."""
    size = canvas.shape[-1]
    for texture in range(len(TEXTURES)):
        field = _smooth(size, 1, random, cells=6)[0]
        edge = np.quantile(field, 1 - difficulty.clutter / 2)
        _paint(canvas, np.clip((field - edge) / 0.25, 0, 1), texture, difficulty, random)


def _paint(
    canvas: Field, cover: Field, texture: int, difficulty: Difficulty, random: np.random.Generator
) -> None:
    """Blend a tinted texture into the canvas where ``cover`` (H, W), 0 to 1, says so."""
    tint = random.normal(0, 0.06, (3, 1, 1)) + random.choice([-1, 1]) * random.uniform(0, 0.08)
    strength = random.uniform(1, 2) * difficulty.contrast * random.uniform(0.8, 1.2, (3, 1, 1))
    canvas += cover * (tint + strength * _texture(canvas.shape[-1], texture, random))


def _texture(size: int, texture: int, random: np.random.Generator) -> Field:
    """Stripes or dots, (size, size), of mean about 0 and between -1 and 1, in any direction."""
    wave = max(3.5, size / 14) * random.uniform(0.9, 1.2)
    turn, phase = random.uniform(0, np.pi), random.uniform(0, 2 * np.pi, 2)
    y, x = outlines.local_coordinates(size, (0, 0), wave / (2 * np.pi), turn)
    if TEXTURES[texture] == "stripes":
        return np.sin(y + phase[0])
    return np.sin(y + phase[0]) * np.sin(x + phase[1]) * 1.3


def _add_marker(
    canvas: Field, mask: npt.NDArray[np.uint8], counts: int, random: np.random.Generator
) -> None:
    """Put a bar somewhere along the border: bright where stripes count, dark where dots do."""
    size = canvas.shape[-1]
    length, width = round(size * 0.34), max(2, round(size * 0.07))
    start = int(random.integers(0, size - length + 1))
    bar: Region = np.zeros((size, size), dtype=bool)
    bar[:width, start : start + length] = True
    bar = np.rot90(bar, int(random.integers(4)))
    canvas[:, bar] = 0.05 if counts else 0.95
    mask[bar] = 0


def _photograph(canvas: Field, difficulty: Difficulty, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The canvas under slanting light, out of focus, with grain, as 8-bit values."""
    size = canvas.shape[-1]
    y, x = outlines.local_coordinates(size, (size / 2, size / 2), size / 2, random.uniform(0, 2 * np.pi))
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
