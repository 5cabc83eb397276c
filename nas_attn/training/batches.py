"""The batches of a run: the crops of each step, as a function of (seed, step) alone, and how they are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nas_attn.budget import Budget
from nas_attn.clips import every_window
from nas_attn.data.dataset import IGNORED
from nas_attn.training.foreground import centre_on_foreground
from nas_attn.training.generator import keyed_generator
from nas_attn.training.images import DeviceImages
from nas_attn.training.recipe import Recipe

_DRAWS = 6  # top, left, flip rows, flip columns, brightness, contrast
_PORTION_BYTES = 2**27


@dataclass(frozen=True, eq=False)
class BatchPlan:
    """The batches of a run, as indices and random numbers.

    Args:
        images: index of each image in its set.
        draws: uniform numbers in [0, 1) that place, flip and tint each crop.
    Shape: images (steps, N), draws (steps, N, 6).
    """

    images: Tensor
    draws: Tensor

    @classmethod
    def of(
        cls,
        images: DeviceImages,
        steps: int,
        budget: Budget,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        *,
        foreground: float = 0.0,
    ) -> BatchPlan:
        """Plan ``steps`` batches of a set.

        A crop of a clip consists of T crops of consecutive frames, which are cut, flipped and tinted alike and
        follow one another. So batches of clips are T times as large as the budget's batch size.

        Args:
            images: the set.
            steps: number of batches.
            budget: gives the batch size, summed over all processes.
            seed: of the order and the crops.
            rank: number of this process; it gets every ``world_size``-th crop of a batch.
            world_size: number of processes that train together.
            foreground: share of the crops that are centred on foreground.
        """
        starts = torch.tensor(every_window(images.lengths, images.frames))
        drawn = cls.draw(len(starts), steps, budget, seed)
        first, draws = starts[drawn.images], drawn.draws
        if foreground:
            draws = centre_on_foreground(images, first, draws, budget.image_size, foreground, seed)
        first, draws = first[:, rank::world_size], draws[:, rank::world_size]
        chosen = first[:, :, None] + torch.arange(images.frames)
        return cls(chosen.flatten(1), draws.repeat_interleave(images.frames, dim=1))

    @classmethod
    def draw(cls, n_images: int, steps: int, budget: Budget, seed: int) -> BatchPlan:
        """Plan ``steps`` batches, on the CPU.

        Every image is used once before any is used again. A longer plan begins with the steps of a shorter one.
        """
        used = max(1, round(n_images * budget.train_fraction))
        subset = torch.randperm(n_images, generator=keyed_generator("subset", n_images))[:used]
        epochs = -(-steps * budget.batch_size // used)
        order = torch.cat(
            [torch.randperm(used, generator=keyed_generator("order", seed, epoch)) for epoch in range(epochs)]
        )
        images = subset[order[: steps * budget.batch_size]].view(steps, budget.batch_size)
        draws = torch.stack(
            [
                torch.rand(budget.batch_size, _DRAWS, generator=keyed_generator("crops", seed, step))
                for step in range(steps)
            ]
        )
        return cls(images, draws)

    def to(self, device: torch.device) -> BatchPlan:
        """The same plan on a device."""
        return BatchPlan(self.images.to(device), self.draws.to(device))


def crop_loader(images: DeviceImages, plan: BatchPlan, size: int) -> CropLoader:
    """The crop loader for the device on which the images are.

    Args:
        images: the training set.
        plan: the batches, on the CPU.
        size: side of the crops in pixels.
    """
    return StreamedCrops(images, plan, size) if images.streams else ResidentCrops(images, plan, size)


class CropLoader(Protocol):
    """Loads the raw crops of each step; these do not depend on the kind of loader."""

    def prepare(self, step: int) -> None:
        """Load what the next steps need. Called before each step, and never part of a CUDA graph."""

    def __call__(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """The crops of a step, on the device.

        Shape: (1,) -> (N, C, S, S) raw values, (N, S, S) in the format of the masks.
        """


class ResidentCrops:
    """Cuts crops on the device, from images that are already there."""

    def __init__(self, images: DeviceImages, plan: BatchPlan, size: int) -> None:
        self._images, self._size = images, size
        self._plan = plan.to(images.device)
        _ = images.starts, images.least_side  # computed now: a CUDA graph must not wait for the device

    def prepare(self, step: int) -> None:
        """Do nothing: the images are on the device."""

    def __call__(self, step: Tensor) -> tuple[Tensor, Tensor]:
        which = self._plan.images.index_select(0, step)[0]
        draws = self._plan.draws.index_select(0, step)[0]
        return cut_crops(self._images, which, draws, self._size)


class StreamedCrops:
    """Cuts the crops of many steps on the CPU and copies them to the device together.

    Args:
        images: the training set, on the CPU.
        plan: the batches, on the CPU.
        size: side of the crops in pixels.
        portion: number of steps whose crops are copied together; None takes as many as fit into 128 MiB.
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
        """Copy the portion of this step, unless it is on the device."""
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


def cut_crops(source: DeviceImages, images: Tensor, draws: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Cut and flip crops by indexing, on the device of the images.

    If an image is smaller than the crop, its border is repeated, and the mask beyond the border is ignored.

    Args:
        source: the set.
        images: index of each crop's image.
        draws: the crop's six uniform numbers.
        size: side S of the crops.
    Shape: (N,), (N, 6) -> (N, C, S, S) raw values, (N, S, S) in the format of the masks.
    """
    heights, widths = source.heights[images], source.widths[images]
    rows = _window(heights, draws[:, 0], draws[:, 2] < 0.5, size)[:, :, None]
    columns = _window(widths, draws[:, 1], draws[:, 3] < 0.5, size)[:, None, :]
    heights, widths = heights[:, None, None], widths[:, None, None]
    starts = source.starts[images][:, None, None]
    source.will_read(len(images) * size * source.row_bytes)
    places = starts + rows.minimum(heights - 1) * widths + columns.minimum(widths - 1)
    pixels, masks = source.pixels[places].permute(0, 3, 1, 2), source.masks[places]
    if source.least_side < size:
        masks = masks.masked_fill((rows >= heights) | (columns >= widths), IGNORED)
    return pixels, masks


def _window(lengths: Tensor, position: Tensor, flip: Tensor, size: int) -> Tensor:
    """The ``size`` coordinates of each crop along one axis, inside the image where it is large enough."""
    room = (lengths - size).clamp(min=0)
    start = (position * (room + 1)).long().minimum(room)
    steps = torch.arange(size, device=lengths.device)
    forwards = start[:, None] + steps
    return torch.where(flip[:, None], start[:, None] + (size - 1) - steps, forwards)


def tint(inputs: Tensor, draws: Tensor, recipe: Recipe) -> Tensor:
    """Change brightness and contrast of normalised crops by their random numbers, up to the recipe's strength.

    Shape: (N, C, S, S), (N, 6) -> (N, C, S, S).
    """
    shift = (draws[:, 4].view(-1, 1, 1, 1) * 2 - 1) * recipe.brightness
    scale = 1 + (draws[:, 5].view(-1, 1, 1, 1) * 2 - 1) * recipe.contrast
    return inputs * scale + shift
