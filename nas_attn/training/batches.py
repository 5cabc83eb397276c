"""Which crops make up which step: decided by (seed, step) alone, before the run starts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nas_attn.budget import Budget
from nas_attn.clips import every_window
from nas_attn.training.foreground import centre_on_foreground
from nas_attn.training.generator import keyed_generator
from nas_attn.training.images import DeviceImages
from nas_attn.training.metrics import IGNORED
from nas_attn.training.recipe import Recipe

_DRAWS = 6  # top, left, flip rows, flip columns, brightness, contrast


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

        A crop of a clip is T crops of consecutive frames, cut, flipped and tinted alike, which follow one another:
        batches are T times as large as the budget says.

        Args:
            images: the set.
            steps: number of batches.
            budget: for the size of a batch, that of all processes together.
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

        Every image is used once before any is used again. The first steps of a longer plan are the steps of
        a shorter one.
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


def cut_crops(source: DeviceImages, images: Tensor, draws: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Cut and flip crops by indexing, where the images are.

    Where an image is smaller than its crop, copies of its border stand beyond it, and their mask is ignored.

    Args:
        source: the set.
        images: index of each crop's image.
        draws: the crop's six uniform numbers.
        size: side S of the crops.
    Shape: (N,), (N, 6) -> (N, C, S, S) raw values, (N, S, S) as the masks are.
    """
    heights, widths = source.heights[images], source.widths[images]
    rows = _window(heights, draws[:, 0], draws[:, 2] < 0.5, size)[:, :, None]
    columns = _window(widths, draws[:, 1], draws[:, 3] < 0.5, size)[:, None, :]
    heights, widths = heights[:, None, None], widths[:, None, None]
    starts = source.starts[images][:, None, None]
    source.pages.will_read(len(images) * size * source.row_bytes)
    places = starts + rows.minimum(heights - 1) * widths + columns.minimum(widths - 1)
    pixels, masks = source.pixels[places].permute(0, 3, 1, 2), source.masks[places]
    if source.least_side < size:
        masks = masks.masked_fill((rows >= heights) | (columns >= widths), IGNORED)
    return pixels, masks


def tint(inputs: Tensor, draws: Tensor, recipe: Recipe) -> Tensor:
    """Change brightness and contrast of normalised crops as their draws say, within the recipe's strength.

    Shape: (N, C, S, S), (N, 6) -> (N, C, S, S).
    """
    shift = (draws[:, 4].view(-1, 1, 1, 1) * 2 - 1) * recipe.brightness
    scale = 1 + (draws[:, 5].view(-1, 1, 1, 1) * 2 - 1) * recipe.contrast
    return inputs * scale + shift


def _window(lengths: Tensor, position: Tensor, flip: Tensor, size: int) -> Tensor:
    """The ``size`` coordinates of each crop along one axis; inside the image wherever it is large enough."""
    room = (lengths - size).clamp(min=0)
    start = (position * (room + 1)).long().minimum(room)
    steps = torch.arange(size, device=lengths.device)
    forwards = start[:, None] + steps
    return torch.where(flip[:, None], start[:, None] + (size - 1) - steps, forwards)
