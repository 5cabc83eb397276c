"""A harder built-in task without a known answer: bodies among smears, fibres and specks."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import numpy.typing as npt

from nas_attn.data.dataset import Dataset
from nas_attn.data.drawing import (
    MIN_IMAGE_SIZE,
    Body,
    Field,
    blurred,
    bodies_of,
    disc,
    drawn_dataset,
    inside,
    is_free,
    local_coordinates,
    number_problems,
    rim_width,
    smooth,
)
from nas_attn.errors import DataError

CLASSES = ("background", "yellow", "blue")
_SHARES = ("clutter", "lookalikes", "shells", "marked")
_TINTS = np.array([[1.3, 1.1, 0.5], [0.5, 1.0, 1.6]]).reshape(2, 3, 1, 1)


def smears(
    *,
    image_size: int = 64,
    seed: int = 0,
    n_train: int = 128,
    n_val: int = 64,
    n_test: int = 64,
    noise: float = 0.08,
    blur: float = 0.6,
    clutter: float = 0.08,
    lookalikes: float = 0.4,
    shade: float = 0.3,
    cast: float = 0.0,
    contrast: float = 0.27,
    texture: float = 0.04,
    hand: float = 0.08,
    shells: float = 0.0,
    marked: float = 0.0,
) -> Dataset:
    """Yellow and blue bodies with a rim among smears without one, RGB, with three classes.

    An image is a function of (seed, split, its index), so other numbers of images do not change it.

    Args:
        image_size: H and W in pixels, at least 16.
        seed: of all randomness, at least 0.
        n_train: number of training images.
        n_val: number of validation images.
        n_test: number of test images.
        noise: standard deviation of the grain, as a share of the full range of brightness.
        blur: largest standard deviation of the point spread, in pixels.
        clutter: share of the image under patches of texture, 0 to 1; fibres and specks grow with it.
        lookalikes: probability that a body is one that does not count, 0 to 1.
        shade: largest relative change of brightness across the image.
        cast: standard deviation of the light's colour between images, relative to each channel; yellow can then
            only be recognised from the whole image.
        contrast: difference in brightness between a body and its background, as a share of the full range.
        texture: amplitude of stripes, as a share of the full range of brightness.
        hand: standard deviation of the annotator's outlines in place and size, as a share of a body's radius.
        shells: share of the look-alikes that have a rim but are not filled, 0 to 1.
        marked: share of the look-alikes that only the marker at the image's border distinguishes, 0 to 1; no
            marker if it is 0.
    Raises:
        DataError: a value is out of range; all such values are reported together.
    """
    counts = (n_train, n_val, n_test)
    difficulty = _Difficulty(
        noise, blur, clutter, lookalikes, shade, cast, contrast, texture, hand, shells, marked
    )
    if found := _problems(image_size, seed, counts, difficulty):
        raise DataError([f"smears: {problem}" for problem in found])
    return drawn_dataset("smears", CLASSES, partial(_draw, image_size, difficulty), seed, counts)


def _problems(image_size: int, seed: int, counts: tuple[int, ...], difficulty: _Difficulty) -> list[str]:
    found = number_problems({"image_size": (image_size, MIN_IMAGE_SIZE), "seed": (seed, 0)}, counts)
    for field in fields(difficulty):
        value, most = getattr(difficulty, field.name), 1 if field.name in _SHARES else math.inf
        if not 0 <= value <= most or math.isinf(value):
            found.append(f"{field.name} is {value!r}; it must be {'from 0 to 1' if most == 1 else 'at least 0'}")
    return found


@dataclass(frozen=True)
class _Difficulty:
    """How hard an image is to segment, as ``smears`` takes it."""

    noise: float
    blur: float
    clutter: float
    lookalikes: float
    shade: float
    cast: float
    contrast: float
    texture: float
    hand: float
    shells: float
    marked: float


def _draw(
    size: int, difficulty: _Difficulty, random: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """An image (3, size, size) and its mask (size, size), both uint8.

    Filled bodies with a rim, of any outline, count as objects; their stain is their class. Smears (of the same
    stains, without a rim), shells (a rim, not filled), fibres, specks and patches of texture are background. If
    there is a marker, the bar at the border, only bodies brighter than their background count in images with a
    bright bar, and only darker ones in images with a dark bar.

    Args:
        size: side in pixels.
        difficulty: how hard it is to segment.
        random: source of all randomness.
    """
    mask = np.zeros((size, size), dtype=np.uint8)
    canvas = _backdrop(size, random)
    _add_clutter(canvas, difficulty, random)
    polarity = int(random.choice([-1, 1])) if difficulty.marked else 1
    bodies = bodies_of(size, random)
    for body in bodies:
        _add(canvas, mask, body, polarity, difficulty, random)
    _add_specks(canvas, bodies, difficulty, random)
    if difficulty.marked:
        _add_marker(canvas, mask, polarity, random)
    return _photograph(canvas, difficulty, random), mask


def _backdrop(size: int, random: np.random.Generator) -> Field:
    tint = random.normal(0, 0.04, (3, 1, 1))
    return 0.4 + tint + 0.04 * smooth(size, 1, random, cells=3) + 0.02 * smooth(size, 3, random, cells=2)


def _add_clutter(canvas: Field, difficulty: _Difficulty, random: np.random.Generator) -> None:
    """Draw patches without an edge, and fibres as dark as rims, over the background."""
    size = canvas.shape[-1]
    field = smooth(size, 1, random, cells=5)[0]
    cover = np.clip((field - np.quantile(field, 1 - difficulty.clutter)) / 0.4, 0, 1)
    step = random.uniform(0.5, 1.5) * difficulty.contrast
    canvas += cover * (step + difficulty.texture * _stripes(size, random))
    for _ in range(random.poisson(5 * difficulty.clutter)):
        centre, bend = (random.uniform(0, size), random.uniform(0, size)), random.uniform(1.2, 4) * size
        y, x = local_coordinates(size, centre, 1, random.uniform(0, 2 * np.pi))
        thread = inside(rim_width(size) / 2 - abs(np.hypot(y - bend, x) - bend))
        canvas -= thread * (abs(x) < random.uniform(0.2, 0.5) * size) * difficulty.contrast


def _add(
    canvas: Field,
    mask: npt.NDArray[np.uint8],
    body: Body,
    polarity: int,
    difficulty: _Difficulty,
    random: np.random.Generator,
) -> None:
    """Draw a body over the canvas, some with a bright core, and label it if it counts."""
    size, kind = canvas.shape[-1], int(random.integers(2))
    genuine = random.uniform() >= difficulty.lookalikes
    marked = not genuine and random.uniform() < difficulty.marked
    whole = genuine or marked
    filled, rimmed = whole or random.uniform() >= difficulty.shells, whole
    rimmed = rimmed or not filled
    depth = body.depth(size)
    cover = inside(depth) if rimmed else inside(depth / (random.uniform(0.6, 0.9) * body.radius))
    fill = (-polarity if marked else polarity) * random.uniform(0.7, 1.3) * difficulty.contrast * _TINTS[kind]
    texture = difficulty.texture * _stripes(size, random)
    rim = cover * inside(rim_width(size) - depth) if rimmed else np.zeros_like(depth)
    if filled:
        canvas += (cover - rim) * (fill + texture)
    canvas -= rim * random.uniform(1.0, 1.4) * difficulty.contrast
    if genuine:
        mask[body.as_drawn(difficulty.hand, random).depth(size) >= 0] = 1 + kind
    if random.uniform() < 0.5:
        canvas += inside(body.core(random).depth(size)) * difficulty.contrast * random.uniform(0.9, 1.3)


def _add_specks(canvas: Field, bodies: list[Body], difficulty: _Difficulty, random: np.random.Generator) -> None:
    """Scatter specks as bright as cores outside the bodies."""
    size = canvas.shape[-1]
    for _ in range(random.poisson(10 * difficulty.clutter)):
        centre, radius = (random.uniform(0, size), random.uniform(0, size)), random.uniform(0.05, 0.09) * size
        if is_free(centre, radius, bodies):
            speck = inside(Body(disc, centre, radius, 0.0).depth(size))
            canvas += speck * difficulty.contrast * random.uniform(0.9, 1.3)


def _add_marker(canvas: Field, mask: npt.NDArray[np.uint8], polarity: int, random: np.random.Generator) -> None:
    """Draw a bar somewhere along the border, bright or dark."""
    size = canvas.shape[-1]
    length, width = round(size * 0.4), max(2, round(size * 0.07))
    start = int(random.integers(0, size - length + 1))
    bar = np.zeros((size, size), dtype=bool)
    bar[:width, start : start + length] = True
    bar = np.rot90(bar, int(random.integers(4)))
    canvas[:, bar] = 0.5 + 0.45 * polarity
    mask[bar] = 0


def _photograph(canvas: Field, difficulty: _Difficulty, random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The canvas under oblique light, out of focus, with grain, as 8-bit values."""
    size = canvas.shape[-1]
    y, _ = local_coordinates(size, (size / 2, size / 2), size / 2, random.uniform(0, 2 * np.pi))
    lit = canvas * (1 + random.uniform(-0.5, 0.5) * difficulty.shade * y)
    if difficulty.cast:
        lit *= np.exp(difficulty.cast * random.normal(0, 1, (3, 1, 1)))
    grain = random.normal(0, difficulty.noise, canvas.shape)
    seen = blurred(lit, random.uniform(0.3, 1) * difficulty.blur) + grain
    return np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)


def _stripes(size: int, random: np.random.Generator) -> Field:
    """Waves between -1 and 1, (size, size), in any direction."""
    length = max(3.6, size / 9) * random.uniform(0.9, 1.2)
    y, _ = local_coordinates(size, (0, 0), length / (2 * np.pi), random.uniform(0, np.pi))
    return np.sin(y + random.uniform(0, 2 * np.pi))
