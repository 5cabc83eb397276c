"""Where a step's crops come from: the set on the device, or the machine's memory in portions."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from nas_attn.training.batches import BatchPlan, cut_crops
from nas_attn.training.images import DeviceImages

_PORTION_BYTES = 2**27


class CropLoader(Protocol):
    """Raw crops for the steps of a run, equal whatever their source."""

    def prepare(self, step: int) -> None:
        """Called before each step that may be looked up next; never part of a CUDA graph."""

    def __call__(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """The crops of a step, on the device.

        Shape: (1,) -> (N, C, S, S) raw values, (N, S, S) as the masks are.
        """


def crop_loader(images: DeviceImages, plan: BatchPlan, size: int) -> CropLoader:
    """The loader that fits where the images are.

    Args:
        images: the training set.
        plan: the batches, on the CPU.
        size: side of the crops in pixels.
    """
    return StreamedCrops(images, plan, size) if images.streams else ResidentCrops(images, plan, size)


class ResidentCrops:
    """Cuts crops on the device, from images that are there."""

    def __init__(self, images: DeviceImages, plan: BatchPlan, size: int) -> None:
        self._images, self._size = images, size
        self._plan = plan.to(images.device)
        _ = images.starts, images.least_side  # made now: a CUDA graph must not wait for the device

    def prepare(self, step: int) -> None:
        """Nothing: the images are there."""

    def __call__(self, step: Tensor) -> tuple[Tensor, Tensor]:
        which = self._plan.images.index_select(0, step)[0]
        draws = self._plan.draws.index_select(0, step)[0]
        return cut_crops(self._images, which, draws, self._size)


class StreamedCrops:
    """Cuts the crops of many steps on the CPU and brings them to the device together.

    Args:
        images: the training set, on the CPU.
        plan: the batches, on the CPU.
        size: side of the crops in pixels.
        portion: steps whose crops are brought at once; None takes as many as 128 MiB hold.
    """

    def __init__(self, images: DeviceImages, plan: BatchPlan, size: int, *, portion: int | None = None) -> None:
        self._images, self._plan, self._size = images, plan, size
        steps, batch = plan.images.shape
        channels = images.pixels.shape[1]
        step_bytes = batch * size**2 * (channels * images.pixels.element_size() + images.masks.element_size())
        self._portion = min(steps, portion or max(1, _PORTION_BYTES // step_bytes))
        self._here = -1
        shape = (self._portion, batch)
        self._pixels = torch.zeros((*shape, channels, size, size), dtype=images.pixels.dtype, device=images.device)
        self._masks = torch.zeros((*shape, size, size), dtype=images.masks.dtype, device=images.device)

    def prepare(self, step: int) -> None:
        """Bring the portion of this step, unless it is here."""
        if step // self._portion == self._here:
            return
        self._here = step // self._portion
        first = self._here * self._portion
        for place, planned in enumerate(range(first, min(first + self._portion, len(self._plan.images)))):
            pixels, masks = cut_crops(
                self._images, self._plan.images[planned], self._plan.draws[planned], self._size
            )
            self._pixels[place].copy_(pixels)
            self._masks[place].copy_(masks)

    def __call__(self, step: Tensor) -> tuple[Tensor, Tensor]:
        place = step % self._portion
        return self._pixels.index_select(0, place)[0], self._masks.index_select(0, place)[0]
