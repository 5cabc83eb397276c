"""Training crops: which ones make up which step, and how they are cut and changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import Sampler

from nas_attn.data import LabelledImages
from nas_attn.training.generator import keyed_generator
from nas_attn.training.images import lay_out, starts_of
from nas_attn.training.reflect_pad import mirrored

_DRAWS = 7  # top, left, flip rows, flip columns, quarter turn, brightness, contrast
_BRIGHTNESS = 0.2
_CONTRAST = 0.2


class CropBatch(NamedTuple):
    """One step's crops, as yet only drawn.

    Args:
        images: index of each crop's image.
        draws: the crop's seven uniform numbers in [0, 1), the same for all frames of a clip.
    Shape: (N,), (N, 7).
    """

    images: Tensor
    draws: Tensor


class CropPlan(TorchDataset[CropBatch]):
    """The batches of a whole training by their step, decided by (seed, step) alone.

    Every image is used once before any is used again. A training that is taken up at any step goes on with
    the batches that it would have had.

    Args:
        n_images: size of the training set; of clips, the number of windows.
        batch_size: N of one step, all processes together.
        seed: of the order and the crops.
        rank: number of this process; it gets every ``world_size``-th crop of a batch.
        world_size: number of processes.
        starts: number of the first image of each window; None where each image is one.
        frames: T of a window, all of which are cut alike and follow one another.
    """

    def __init__(
        self,
        n_images: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        *,
        starts: Sequence[int] | None = None,
        frames: int = 1,
    ) -> None:
        self._n_images = n_images
        self._starts = torch.arange(n_images) if starts is None else torch.tensor(starts)
        self._frames = frames
        self._batch_size = batch_size
        self._seed = seed
        self._share = slice(rank, None, world_size)

    def __getitem__(self, step: int) -> CropBatch:
        positions = range(step * self._batch_size, (step + 1) * self._batch_size)
        passes = range(positions[0] // self._n_images, positions[-1] // self._n_images + 1)
        order = torch.cat(
            [
                torch.randperm(self._n_images, generator=keyed_generator("fit order", self._seed, number))
                for number in passes
            ]
        )
        first = positions[0] - passes[0] * self._n_images
        images = order[first : first + self._batch_size]
        draws = torch.rand(self._batch_size, _DRAWS, generator=keyed_generator("fit crops", self._seed, step))
        shown = self._starts[images[self._share]][:, None] + torch.arange(self._frames)
        return CropBatch(shown.flatten(), draws[self._share].repeat_interleave(self._frames, dim=0))


class EpochSteps(Sampler[int]):
    """The steps of the epoch that begins.

    Args:
        first_step: says, when an epoch begins, how many steps were taken before it. Lightning's own way, a
            sampler's ``set_epoch``, is not told of the epoch that a training goes on with.
        steps_per_epoch: how many follow.
    """

    def __init__(self, first_step: Callable[[], int], steps_per_epoch: int) -> None:
        super().__init__()
        self._first_step = first_step
        self._steps = steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        first = self._first_step()
        return iter(range(first, first + self._steps))

    def __len__(self) -> int:
        return self._steps


@dataclass(frozen=True, eq=False)
class CropSource:
    """A training set from which crops are cut by indexing, on whichever device it lies.

    Args:
        pixels: (P, C), raw values of all positions, image by image, row by row.
        masks: (P,), class indices likewise; 255 is ignored.
        starts: (N,), where each image begins.
        heights: (N,), of each image.
        widths: (N,), of each image.
        size: side S of the crops, in pixels.
    """

    pixels: Tensor
    masks: Tensor
    starts: Tensor
    heights: Tensor
    widths: Tensor
    size: int

    @classmethod
    def of(cls, images: LabelledImages, size: int) -> CropSource:
        """The source that a split of a data set makes."""
        heights, widths = images.heights, images.widths
        pixels, masks = lay_out(images.images, images.labels, heights, widths)
        starts = torch.tensor(starts_of(heights, widths))
        return cls(pixels, masks, starts, torch.tensor(heights), torch.tensor(widths), size)

    @property
    def nbytes(self) -> int:
        """What the images and masks take in memory."""
        return self.pixels.nbytes + self.masks.nbytes

    def to(self, device: torch.device) -> CropSource:
        """The same set on another device."""
        return CropSource(
            self.pixels.to(device),
            self.masks.to(device),
            self.starts.to(device),
            self.heights.to(device),
            self.widths.to(device),
            self.size,
        )

    def cut(self, batch: CropBatch) -> tuple[Tensor, Tensor]:
        """Place, flip and turn the crops; where an image is smaller than they are, it is mirrored, mask and all.

        Shape: (N,), (N, 7) -> (N, C, S, S) raw values, (N, S, S).
        """
        which = batch.images.to(self.pixels.device)
        draws = batch.draws.to(self.pixels.device)
        widths = self.widths[which]
        rows = self._window(self.heights[which], draws[:, 0], draws[:, 2] < 0.5)[:, :, None]
        columns = self._window(widths, draws[:, 1], draws[:, 3] < 0.5)[:, None, :]
        places = self.starts[which][:, None, None] + rows * widths[:, None, None] + columns
        pixels, masks = self.pixels[places].permute(0, 3, 1, 2), self.masks[places]
        turn = (draws[:, 4] < 0.5)[:, None, None]
        return (
            torch.where(turn[:, None], pixels.transpose(2, 3), pixels),
            torch.where(turn, masks.transpose(1, 2), masks),
        )

    def _window(self, lengths: Tensor, position: Tensor, flip: Tensor) -> Tensor:
        """The coordinates (N, S) of each crop along one axis."""
        room = lengths - self.size
        start = (position * (room.abs() + 1)).long().minimum(room.abs()) * room.sign()
        steps = torch.arange(self.size, device=lengths.device)
        forwards = start[:, None] + steps
        backwards = start[:, None] + (self.size - 1) - steps
        return mirrored(torch.where(flip[:, None], backwards, forwards), lengths[:, None])


def tinted(inputs: Tensor, draws: Tensor) -> Tensor:
    """Normalised images with a contrast and a brightness of their own.

    Shape: (N, C, H, W), (N, 7) -> (N, C, H, W).
    """
    shift = (draws[:, 5] * 2 - 1).view(-1, 1, 1, 1) * _BRIGHTNESS
    scale = 1 + (draws[:, 6] * 2 - 1).view(-1, 1, 1, 1) * _CONTRAST
    return inputs * scale + shift
