"""A whole set of images and masks, ready for batches on the training device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nas_attn.clips import clip_places
from nas_attn.data.on_demand import OnDemand, in_turn
from nas_attn.errors import DataError
from nas_attn.training.class_frequencies import class_counts
from nas_attn.training.metrics import machine_bytes

if TYPE_CHECKING:
    from nas_attn.data import LabelledImages

_SHARE_FOR_IMAGES = 0.25


@dataclass(frozen=True, eq=False)
class DeviceImages:
    """Images one after another in one tensor, so that a batch is an indexing operation.

    Each image takes only its own size, so one large image among many small ones wastes no memory.

    A set that is too large for the device stays in the machine's memory and is streamed. Its pixels, masks,
    heights and widths are then on the CPU, its mean and std on the device.

    Args:
        pixels: raw values of the P positions of all images, image by image, row by row.
        masks: class index of each position, or its set of classes; 255 is ignored.
        heights: of each image.
        widths: of each image.
        mean: per channel, in pixel units.
        std: per channel, in pixel units.
        clips: number of frames of each clip, in the order of the images; empty for still images.
        frames: T, the number of consecutive frames that go through the network together.
        multi_label: whether masks are sets of classes that may overlap.
        will_read: called with the number of bytes that are about to be read, for a set that is held in files.
    Shape: pixels (P, C), masks (P,), heights and widths (N,), mean and std (C,).
    """

    pixels: Tensor
    masks: Tensor
    heights: Tensor
    widths: Tensor
    mean: Tensor
    std: Tensor
    clips: tuple[int, ...] = ()
    frames: int = 1
    multi_label: bool = False
    will_read: Callable[[int], None] = lambda n_bytes: None

    @classmethod
    def pack(
        cls,
        pixels: Sequence[Tensor] | Tensor,
        masks: Sequence[Tensor] | Tensor,
        heights: tuple[int, ...],
        widths: tuple[int, ...],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        *,
        device: torch.device,
        most_bytes: int | None = None,
        clips: tuple[int, ...] = (),
        frames: int = 1,
        multi_label: bool = False,
    ) -> DeviceImages:
        """Lay images one after another, and bring them to a device.

        Args:
            pixels: of each image (C, H, W), at least as large as the image; anything beyond its height and width
                is left out.
            masks: of each image (H, W), cut in the same way.
            heights: of each image.
            widths: of each image.
            most_bytes: a set larger than this stays in the machine's memory; None sets no limit.
            clips: number of frames of each clip, all of one size within a clip; empty for still images.
            frames: T, at most the length of the shortest clip.
            multi_label: whether masks are sets of classes that may overlap.
        """
        laid, labels = lay_out(pixels, masks, heights, widths)
        home = home_of(laid, labels, device, most_bytes)
        return cls(
            pixels=laid.to(home),
            masks=labels.to(home),
            heights=torch.tensor(heights, device=home),
            widths=torch.tensor(widths, device=home),
            mean=torch.tensor(mean, device=device),
            std=torch.tensor(std, device=device),
            clips=clips,
            frames=frames,
            multi_label=multi_label,
        )

    def __len__(self) -> int:
        return len(self.heights)

    @property
    def device(self) -> torch.device:
        """The device on which batches are wanted."""
        return self.mean.device

    @property
    def streams(self) -> bool:
        """Whether the set is kept elsewhere than on the device."""
        return self.pixels.device != self.device

    @property
    def lengths(self) -> tuple[int, ...]:
        """Number of frames of each clip; a still image is a clip of one frame."""
        return self.clips or (1,) * len(self)

    @cached_property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of each image."""
        return tuple(zip(self.heights.tolist(), self.widths.tolist(), strict=True))

    @cached_property
    def least_side(self) -> int:
        """The smallest height or width in the set; a crop of this size fits into every image."""
        return min(map(min, self.sizes))

    @cached_property
    def class_counts(self) -> tuple[Tensor, int | None]:
        """The counts of ``class_counts`` for the masks of this set, (256,), on the CPU."""
        return class_counts(OnDemand(self.mask, len(self)), self.multi_label)

    @cached_property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel with its label."""
        return self.pixels.shape[1] * self.pixels.element_size() + self.masks.element_size()

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of one row of the widest image with its labels."""
        return max(width for _, width in self.sizes) * self.pixel_bytes

    @cached_property
    def starts(self) -> Tensor:
        """Index of the first position of each image, (N,), on the device of the pixels."""
        return torch.tensor(self._starts, device=self.pixels.device)

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        heights, widths = zip(*self.sizes, strict=True)
        return starts_of(heights, widths)

    def images_of(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Some images of equal size with their masks, on the device that holds the set.

        Shape: (N, C, H, W), (N, H, W).
        """
        height, width = self.sizes[numbers[0]]
        self.will_read(len(numbers) * height * width * self.pixel_bytes)
        places = [self._positions(number) for number in numbers]
        pixels = torch.stack([self.pixels[place].view(height, width, -1) for place in places])
        masks = torch.stack([self.masks[place].view(height, width) for place in places])
        # For a grey image both layouts count as contiguous, and kernels are chosen by the strides.
        return pixels.permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format), masks

    def mask(self, number: int) -> Tensor:
        """The mask of an image, (H, W), on the device that holds the set."""
        height, width = self.sizes[number]
        self.will_read(height * width * self.masks.element_size())
        return self.masks[self._positions(number)].view(height, width)

    def and_then(self, other: DeviceImages) -> DeviceImages:
        """The images of this set followed by those of another, on the device that holds this set."""
        home = self.pixels.device
        return replace(
            self,
            pixels=torch.cat([self.pixels, other.pixels.to(home)]),
            masks=torch.cat([self.masks, other.masks.to(home)]),
            heights=torch.cat([self.heights, other.heights.to(home)]),
            widths=torch.cat([self.widths, other.widths.to(home)]),
            clips=(*self.clips, *other.clips),
        )

    def chosen(self, units: Sequence[int]) -> DeviceImages:
        """Some of the still images or clips, in the given order."""
        frames = clip_places(self.lengths)
        places = [place for unit in units for place in frames[unit]]
        parts = [self._positions(place) for place in places]
        numbers = torch.tensor(places, device=self.pixels.device)
        return replace(
            self,
            pixels=torch.cat([self.pixels[part] for part in parts]),
            masks=torch.cat([self.masks[part] for part in parts]),
            heights=self.heights[numbers],
            widths=self.widths[numbers],
            clips=tuple(self.clips[unit] for unit in units) if self.clips else (),
        )

    def _positions(self, number: int) -> slice:
        height, width = self.sizes[number]
        return slice(self._starts[number], self._starts[number] + height * width)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Raw values as float32 with mean 0 and standard deviation 1 over the training set."""
        return normalise(pixels, self.mean, self.std)


def normalise(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Raw values as float32, normalised by mean and standard deviation.

    Args:
        pixels: raw values.
        mean: of each channel over the training set, in pixel units, on the device of the pixels.
        std: of each channel, likewise.
    Shape: (N, C, H, W), (C,), (C,) -> (N, C, H, W).
    """
    return (pixels.float() - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)


def pack_images(
    images: LabelledImages, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device, frames: int = 1
) -> DeviceImages:
    """A split of a data set, on the device if it has room for it, otherwise on the CPU.

    Args:
        images: the split.
        mean: per channel, in pixel units, for normalising the images.
        std: likewise.
        device: where batches are wanted.
        frames: T, the number of consecutive frames of a clip that go through the network together.
    Raises:
        DataError: the images need more memory than the machine has.
    """
    _check_memory(images)
    return DeviceImages.pack(
        images.images,
        images.labels,
        images.heights,
        images.widths,
        mean,
        std,
        device=device,
        most_bytes=room_for_images(device),
        clips=images.clips,
        frames=frames,
        multi_label=images.multi_label,
    )


def _check_memory(images: LabelledImages) -> None:
    """Refuse a set that is larger than the machine's memory, before it is packed."""
    pixels = sum(height * width for height, width in zip(images.heights, images.widths, strict=True))
    needed = pixels * (images.channels * images.dtype.itemsize + 1)
    if (held := machine_bytes()) is not None and needed > held:
        line = f"the images need {needed / 2**30:.1f} GiB of memory, and the machine has {held / 2**30:.1f}"
        raise DataError(f"{line}; shrink them with --longest-side")


def room_for_images(device: torch.device) -> int | None:
    """The most bytes of images to keep on a device; None if there is no limit."""
    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).total_memory * _SHARE_FOR_IMAGES)


def home_of(pixels: Tensor, masks: Tensor, device: torch.device, most_bytes: int | None) -> torch.device:
    """Where to keep a set: on the device, or on the CPU if the set is larger than ``most_bytes``."""
    fits = most_bytes is None or pixels.nbytes + masks.nbytes <= most_bytes
    return device if fits else torch.device("cpu")


def lay_out(
    pixels: Sequence[Tensor] | Tensor,
    masks: Sequence[Tensor] | Tensor,
    heights: Sequence[int],
    widths: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Images one after another, row by row, cut to their heights and widths.

    Shape: N times (C, H, W) and N times (H, W) -> (P, C), (P,).
    """
    number = sum(height * width for height, width in zip(heights, widths, strict=True))
    laid = torch.empty(number, pixels[0].shape[0], dtype=pixels[0].dtype)
    labels = torch.empty(number, dtype=masks[0].dtype)
    starts = starts_of(heights, widths)
    pairs = in_turn(lambda number: (pixels[number], masks[number]), len(starts))
    for (image, mask), start, height, width in zip(pairs, starts, heights, widths, strict=True):
        place = slice(start, start + height * width)
        laid[place].view(height, width, -1).copy_(image[:, :height, :width].permute(1, 2, 0))
        labels[place].view(height, width).copy_(mask[:height, :width])
    return laid, labels


def starts_of(heights: Sequence[int], widths: Sequence[int]) -> tuple[int, ...]:
    """Index of each image's first position among the positions of all images.

    >>> starts_of((2, 1, 4), (3, 1, 2))
    (0, 6, 7)
    """
    areas = (height * width for height, width in zip(heights, widths, strict=True))
    return tuple(accumulate(areas, initial=0))[:-1]
