"""What data sets that the program makes have in common: numbers to check, images each of which is drawn alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from nas_attn.data.dataset import Dataset, LabelledImages, assemble, pack
from nas_attn.data.listing import SPLITS

MIN_IMAGE_SIZE = 16
Drawn = TypeVar("Drawn")
Bytes = npt.NDArray[np.uint8]
Draw = Callable[[np.random.Generator], tuple[Bytes, Bytes]]


def number_problems(least: Mapping[str, tuple[int, int]], counts: Sequence[int]) -> list[str]:
    """What is wrong with numbers that must be whole.

    Args:
        least: of each name the number, and the least that it may be.
        counts: how many of each split there are to be, at least one.
    """
    numbers = {**least, **{f"n_{split}": (count, 1) for split, count in zip(SPLITS, counts, strict=True)}}
    return [
        f"{name} is {value!r}; it must be a whole number of at least {lowest}"
        for name, (value, lowest) in numbers.items()
        if not isinstance(value, int) or isinstance(value, bool) or value < lowest
    ]


def drawn(draw: Callable[[np.random.Generator], Drawn], seed: int, split: int, count: int) -> list[Drawn]:
    """So many of a split, each a function of the seed, the split and its index."""
    sequences = (np.random.SeedSequence((seed, split, index)) for index in range(count))
    return [draw(np.random.Generator(np.random.Philox(sequence))) for sequence in sequences]


def drawn_dataset(name: str, classes: Sequence[str], draw: Draw, seed: int, counts: Sequence[int]) -> Dataset:
    """Still images, (C, H, W) each, with their masks, (H, W) each, so many of each split."""
    train, val, test = (_images(draw, seed, split, count) for split, count in enumerate(counts))
    return assemble(name, classes, train, val, test)


def _images(draw: Draw, seed: int, split: int, count: int) -> LabelledImages:
    pairs = drawn(draw, seed, split, count)
    return pack(
        [torch.from_numpy(image) for image, _ in pairs],
        [torch.from_numpy(mask) for _, mask in pairs],
        [f"{SPLITS[split]}-{index:04d}" for index in range(count)],
    )
