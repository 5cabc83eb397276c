"""The built-in tasks with a known answer: in one, global context is worth many points; in the other, nothing.

Bodies are warm or cold *relative to the light of the whole image*, which differs from image to image and shifts
the colours of everything in it. The ground itself varies from warm on one side to cold on the other, so that no
part of it reveals the light, only its mean over the whole image. A network that pools over the whole image, where
colours are still visible and further layers follow, can recognise the class; one that sees only a part of the
image has to guess. In the task without light, there is nothing to guess, and no attention helps.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from nas_attn.data.dataset import Dataset
from nas_attn.data.drawing import (
    MIN_IMAGE_SIZE,
    Field,
    blurred,
    bodies_of,
    drawn_dataset,
    inside,
    number_problems,
    rim_width,
    smooth,
)
from nas_attn.errors import DataError

CLASSES = ("background", "warm", "cold")
LIGHT = 0.07
"""Standard deviation of the light's hue over images. A hue is what red has more and blue less, relative to the
full range."""
GROUND = 0.2
"""Standard deviation of the ground's hue over an image."""
STAIN = 0.08
"""Mean hue of a warm or cold body."""
_HUE = np.array([1.0, 0.0, -1.0]).reshape(3, 1, 1)
_BRIGHTNESS, _CONTRAST, _NOISE, _BLUR = 0.4, 0.25, 0.05, 0.4
_REGIONS = 1
"""Number of steps along a side at which the hue of the ground is drawn; it is smooth in between."""


def synthetic(
    *, image_size: int = 64, seed: int = 0, n_train: int = 256, n_val: int = 96, n_test: int = 96
) -> Dataset:
    """Bodies that are warm or cold relative to the light of their image, RGB, with three classes.

    An image is a function of (seed, split, its index), so other numbers of images do not change it.

    Args:
        image_size: H and W in pixels, at least 16.
        seed: of all randomness, at least 0.
        n_train: number of training images.
        n_val: number of validation images.
        n_test: number of test images.
    Raises:
        DataError: a value is out of range; all such values are reported together.
    """
    return _made("synthetic", LIGHT, image_size, seed, (n_train, n_val, n_test))


def synthetic_null(
    *, image_size: int = 64, seed: int = 0, n_train: int = 256, n_val: int = 96, n_test: int = 96
) -> Dataset:
    """The same under one light: warm and cold bodies can be recognised locally, and no attention helps.

    Args:
        image_size: H and W in pixels, at least 16.
        seed: of all randomness, at least 0.
        n_train: number of training images.
        n_val: number of validation images.
        n_test: number of test images.
    Raises:
        DataError: a value is out of range; all such values are reported together.
    """
    return _made("synthetic-null", 0.0, image_size, seed, (n_train, n_val, n_test))


def _made(name: str, light: float, size: int, seed: int, counts: tuple[int, int, int]) -> Dataset:
    if found := number_problems({"image_size": (size, MIN_IMAGE_SIZE), "seed": (seed, 0)}, counts):
        raise DataError([f"{name}: {problem}" for problem in found])
    return drawn_dataset(name, CLASSES, partial(_draw, size, light), seed, counts)


def _draw(
    size: int, light: float, random: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """An image (3, size, size) and its mask (size, size).

    Args:
        size: side in pixels.
        light: standard deviation of the hue by which everything in the image is shifted.
        random: source of all randomness.
    """
    bodies, shift = bodies_of(size, random), light * random.normal()
    depths = [body.depth(size) for body in bodies]
    canvas = _ground(depths, random)
    mask = np.zeros((size, size), dtype=np.uint8)
    for depth in depths:
        label = 1 + int(random.integers(2))
        canvas = _with_body(canvas, depth, 1 if label == 1 else -1, random)
        mask[depth >= 0] = label
    seen = blurred(canvas + shift * _HUE, _BLUR) + random.normal(0, _NOISE, canvas.shape)
    return np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8), mask


def _ground(depths: list[Field], random: np.random.Generator) -> Field:
    """The ground, (3, size, size): warm and cold regions, whose mean hue is 0 outside of bodies."""
    size = len(depths[0])
    free = np.all([depth < 0 for depth in depths], axis=0)
    hue = smooth(size, 1, random, cells=_REGIONS)[0]
    hue = GROUND * (hue - hue[free].mean()) / hue[free].std()
    ground: Field = _BRIGHTNESS + 0.02 * smooth(size, 1, random, cells=3) + hue * _HUE
    return ground


def _with_body(canvas: Field, depth: Field, sign: int, random: np.random.Generator) -> Field:
    """A body over the canvas, brighter than the ground within a dark rim, warm (1) or cold (-1)."""
    cover = inside(depth)
    fill = _BRIGHTNESS + random.uniform(0.8, 1.2) * _CONTRAST + sign * random.uniform(0.7, 1.3) * STAIN * _HUE
    rim = cover * inside(rim_width(len(depth)) - depth) * random.uniform(1.5, 2.1) * _CONTRAST
    covered: Field = canvas * (1 - cover) + cover * fill - rim
    return covered
