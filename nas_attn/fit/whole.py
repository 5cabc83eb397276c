"""Whole images in groups of one size."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from nas_attn.data import LabelledImages


class WholeBatch(NamedTuple):
    """Images of one size with their masks.

    Shape: pixels (N, C, H, W) raw values, masks (N, H, W); N is 0 where a process has nothing left to do.
    """

    pixels: Tensor
    masks: Tensor


class WholeImages(TorchDataset[WholeBatch]):
    """The images of a split at their true size, in batches of equal size.

    Args:
        images: the split.
        batch_size: largest N.
        rank: number of this process; it gets every ``world_size``-th batch.
        world_size: number of processes. All of them get equally many batches, some of them empty, because a
            process that skips a step would leave the others waiting.
    """

    def __init__(self, images: LabelledImages, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self._images = images
        batches = _same_size(images, batch_size)
        self._length = -(-len(batches) // world_size)
        self._batches = batches[rank::world_size]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> WholeBatch:
        if not 0 <= number < self._length:
            raise IndexError(number)
        if number >= len(self._batches):
            return WholeBatch(self._images.pixels[:0], self._images.masks[:0])
        which = self._batches[number]
        height, width = self._images.heights[which[0]], self._images.widths[which[0]]
        return WholeBatch(
            self._images.pixels[which, :, :height, :width], self._images.masks[which, :height, :width]
        )


def _same_size(images: LabelledImages, batch_size: int) -> list[list[int]]:
    """Indices of images in batches of one size, in the order of the first image of each."""
    batches: list[list[int]] = []
    open_batches: dict[tuple[int, int], list[int]] = {}
    for index, size in enumerate(zip(images.heights, images.widths, strict=True)):
        batch = open_batches.get(size)
        if batch is None or len(batch) == batch_size:
            batch = open_batches[size] = []
            batches.append(batch)
        batch.append(index)
    return batches
