"""A harder built-in task, of which no answer is known: bodies among smears, fibres and specks."""

from __future__ import annotations

import math
from dataclasses import fields
from functools import partial

from nas_attn.data.dataset import Dataset
from nas_attn.data.made import MIN_IMAGE_SIZE, drawn_dataset, number_problems
from nas_attn.data.scene import CLASSES, Difficulty, draw
from nas_attn.errors import DataError

_SHARES = ("clutter", "lookalikes", "shells", "marked")


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

    An image is a function of (seed, split, its index): asking for more of them changes none of the others.

    Args:
        image_size: H and W in pixels, at least 16.
        seed: of everything random, at least 0.
        n_train: number of training images.
        n_val: number of validation images.
        n_test: number of test images.
        noise: standard deviation of the grain, as a share of the full range of brightness.
        blur: largest standard deviation of the point spread, in pixels.
        clutter: share of the image under patches of texture, 0 to 1; fibres and specks grow with it.
        lookalikes: probability that a body is one that does not count, 0 to 1.
        shade: largest relative change of brightness across the image.
        cast: standard deviation of the light's colour between images, relative to each channel.
        contrast: difference in brightness between a body and what is behind it, as a share of the full range.
        texture: amplitude of stripes, as a share of the full range of brightness.
        hand: standard deviation of the annotator's outlines in place and size, as a share of a body's radius.
        shells: share of the look-alikes that have a rim but are not filled, 0 to 1.
        marked: share of the look-alikes that only the marker at the image's border gives away, 0 to 1.
    Raises:
        DataError: a value is out of its range; all such are named together.
    """
    counts = (n_train, n_val, n_test)
    difficulty = Difficulty(noise, blur, clutter, lookalikes, shade, cast, contrast, texture, hand, shells, marked)
    if found := _problems(image_size, seed, counts, difficulty):
        raise DataError([f"smears: {problem}" for problem in found])
    return drawn_dataset("smears", CLASSES, partial(draw, image_size, difficulty), seed, counts)


def _problems(image_size: int, seed: int, counts: tuple[int, ...], difficulty: Difficulty) -> list[str]:
    found = number_problems({"image_size": (image_size, MIN_IMAGE_SIZE), "seed": (seed, 0)}, counts)
    for field in fields(difficulty):
        value, most = getattr(difficulty, field.name), 1 if field.name in _SHARES else math.inf
        if not 0 <= value <= most or math.isinf(value):
            found.append(f"{field.name} is {value!r}; it must be {'from 0 to 1' if most == 1 else 'at least 0'}")
    return found
