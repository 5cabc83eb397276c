"""Whole images in groups of one size, those of a window of a clip together."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from nas_attn.clips import Window, covering_windows
from nas_attn.data import LabelledImages


class WholeBatch(NamedTuple):
    """Images of one size with their masks.

    Shape: pixels (N, C, H, W) raw values, masks (N, H, W), is_new (N,), which is false for what an earlier window
        of the clip has shown; N is 0 where a process has nothing left to do.
    """

    pixels: Tensor
    masks: Tensor
    is_new: Tensor


class WholeImages(TorchDataset[WholeBatch]):
    """The images of a split at their true size, in batches of equal size.

    Args:
        images: the split.
        batch_size: largest N; of clips, the largest number of windows.
        rank: number of this process; it gets every ``world_size``-th batch.
        world_size: number of processes. All of them get equally many batches, some of them empty, because a
            process that skips a step would leave the others waiting.
        frames: T of a window of a clip; 1 where images are still.
    """

    def __init__(
        self, images: LabelledImages, batch_size: int, rank: int = 0, world_size: int = 1, *, frames: int = 1
    ) -> None:
        self._images = images
        self._frames = frames
        batches = _same_size(images, batch_size, frames)
        self._length = -(-len(batches) // world_size)
        self._batches = batches[rank::world_size]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> WholeBatch:
        if not 0 <= number < self._length:
            raise IndexError(number)
        if number >= len(self._batches):
            nothing = torch.zeros(0, dtype=torch.bool)
            return WholeBatch(self._images.image(0)[None][:0], self._images.mask(0)[None][:0], nothing)
        windows = self._batches[number]
        which = [window.first + offset for window in windows for offset in range(self._frames)]
        is_new = torch.tensor([offset >= window.seen for window in windows for offset in range(self._frames)])
        pixels = torch.stack([self._images.image(one) for one in which])
        return WholeBatch(pixels, torch.stack([self._images.mask(one) for one in which]), is_new)


def _same_size(images: LabelledImages, batch_size: int, frames: int) -> list[list[Window]]:
    """Windows in batches of one size, in the order of the first window of each."""
    batches: list[list[Window]] = []
    open_batches: dict[tuple[int, int], list[Window]] = {}
    for window in covering_windows(images.clips or (1,) * len(images), frames):
        size = images.heights[window.first], images.widths[window.first]
        batch = open_batches.get(size)
        if batch is None or len(batch) == batch_size:
            batch = open_batches[size] = []
            batches.append(batch)
        batch.append(window)
    return batches
