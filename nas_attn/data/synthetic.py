"""The built-in task: no download, made in seconds, the same from the same seed."""

from __future__ import annotations

import numpy as np
import torch

from nas_attn.data.dataset import Dataset, LabelledImages, assemble, pack
from nas_attn.data.scene import CLASSES, Difficulty, draw
from nas_attn.errors import DataError

MIN_IMAGE_SIZE = 16
_SPLITS = ("train", "val", "test")


def synthetic(
    *,
    image_size: int = 64,
    seed: int = 0,
    n_train: int = 128,
    n_val: int = 64,
    n_test: int = 64,
    difficulty: Difficulty | None = None,
) -> Dataset:
    """Round, angular and ring-shaped bodies among look-alikes, RGB, with four classes.

    An image is a function of (seed, split, its index): asking for more of them changes none of the others.

    Args:
        image_size: H and W in pixels, at least 16.
        seed: of everything random, at least 0.
        n_train: number of training images.
        n_val: number of validation images.
        n_test: number of test images.
        difficulty: noise, blur, clutter, look-alikes; the calibrated default where left out.
    Raises:
        DataError: a value is out of its range; all such are named together.
    """
    counts = (n_train, n_val, n_test)
    _check(image_size, seed, counts)
    splits = [
        _split(split, count, image_size, seed, difficulty or Difficulty())
        for split, count in enumerate(counts)
    ]
    return assemble("synthetic", CLASSES, *splits)


def _split(split: int, count: int, size: int, seed: int, difficulty: Difficulty) -> LabelledImages:
    scenes = [
        draw(size, difficulty, np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, split, index)))))
        for index in range(count)
    ]
    return pack(
        [torch.from_numpy(image) for image, _ in scenes],
        [torch.from_numpy(mask) for _, mask in scenes],
        [f"{_SPLITS[split]}-{index:04d}" for index in range(count)],
    )


def _check(image_size: int, seed: int, counts: tuple[int, int, int]) -> None:
    found = []
    if image_size < MIN_IMAGE_SIZE:
        found.append(f"synthetic: image_size is {image_size}; it must be at least {MIN_IMAGE_SIZE}")
    if seed < 0:
        found.append(f"synthetic: seed is {seed}; it must be at least 0")
    found += [
        f"synthetic: n_{split} is {count}; it must be at least 1"
        for split, count in zip(_SPLITS, counts, strict=True)
        if count < 1
    ]
    if found:
        raise DataError(found)
