"""Tiny sets of images."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from nas_attn.data import LabelledImages
from nas_attn.data.dataset import pack
from nas_attn.training import DeviceImages

CPU = torch.device("cpu")


@pytest.fixture
def coordinates() -> Callable[..., DeviceImages]:
    """Images whose pixels and masks say where they are: channels are image, row, column; the mask is the row
    plus the column, modulo 251."""

    def make(*sizes: tuple[int, int]) -> DeviceImages:
        height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
        pixels = torch.zeros(len(sizes), 3, height, width, dtype=torch.uint8)
        masks = torch.full((len(sizes), height, width), 255, dtype=torch.uint8)
        for index, (high, wide) in enumerate(sizes):
            rows, columns = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
            pixels[index, 0, :high, :wide] = index
            pixels[index, 1, :high, :wide] = rows
            pixels[index, 2, :high, :wide] = columns
            masks[index, :high, :wide] = (rows + columns) % 251
        return DeviceImages.pack(
            pixels,
            masks,
            tuple(size[0] for size in sizes),
            tuple(size[1] for size in sizes),
            (0.0, 0.0, 0.0),
            (1.0, 1.0, 1.0),
            device=CPU,
        )

    return make


@pytest.fixture
def labelled() -> Callable[[DeviceImages], LabelledImages]:
    """A packed set as it was before it was packed."""

    def unpack(images: DeviceImages) -> LabelledImages:
        pairs = [images.images_of([number]) for number in range(len(images))]
        names = [f"image{number}" for number in range(len(images))]
        return pack([one[0] for one, _ in pairs], [mask[0] for _, mask in pairs], names, images.clips)

    return unpack


@pytest.fixture
def reference() -> Callable[[str], ModuleType]:
    """Import another library; the test is skipped where it is not installed."""

    def load(name: str) -> ModuleType:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs, not ours
            module: ModuleType = pytest.importorskip(name, reason="needs pip install -e '.[reference]'")
            return module

    return load
