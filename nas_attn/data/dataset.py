"""A data set as networks use it: three splits of labelled images, packed as tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from nas_attn.data.on_demand import in_turn
from nas_attn.data.summary import summarise, value_counts

IGNORED = 255
"""The mask value of pixels that are used neither for training nor for scoring."""

MAX_CLASSES = 254


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and their masks, each of its own size.

    Args:
        images: each (C, H, W), uint8, or int32 if a channel has 16 bits; the images of a folder are decoded when
            they are accessed.
        labels: the mask of each image, (H, W), uint8 class indices; 255 where ignored. For classes that may
            overlap, the bits of ``overlapping.bit_of``, in int32 if there are more than seven. Decoded on access
            likewise.
        heights: of each image.
        widths: of each image.
        names: of each image.
        clips: number of frames of each clip, in the order of the images; empty for still images.
        groups: group of each image, such as a patient; empty for an image without one; no entries if no groups
            were declared.
        multi_label: whether classes may overlap.
    """

    images: Sequence[Tensor]
    labels: Sequence[Tensor]
    heights: tuple[int, ...]
    widths: tuple[int, ...]
    names: tuple[str, ...]
    clips: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()
    multi_label: bool = False

    def __len__(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> int:
        """C."""
        return self._kind[0]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the pixels."""
        return self._kind[1]

    @cached_property
    def _kind(self) -> tuple[int, torch.dtype]:
        first = self.images[0]
        return first.shape[0], first.dtype

    @cached_property
    def counts(self) -> tuple[dict[int, int], ...]:
        """For each mask, the number of pixels with each value."""
        return tuple(in_turn(lambda number: dict(value_counts(self.mask(number).numpy())), len(self)))

    @property
    def pixels(self) -> Tensor:
        """All images in a new tensor, padded with 0 at the bottom and the right to a common size: (N, C, H, W).

        It is as large as if all images had the size of the largest.
        """
        padded = torch.zeros(len(self), self.channels, max(self.heights), max(self.widths), dtype=self.dtype)
        for place, image in zip(padded, self.images, strict=True):
            place[:, : image.shape[1], : image.shape[2]] = image
        return padded

    @property
    def masks(self) -> Tensor:
        """All masks likewise, 255 in the padding: (N, H, W)."""
        size = len(self), max(self.heights), max(self.widths)
        padded = torch.full(size, IGNORED, dtype=self.labels[0].dtype)
        for place, mask in zip(padded, self.labels, strict=True):
            place[: mask.shape[0], : mask.shape[1]] = mask
        return padded

    def image(self, index: int) -> Tensor:
        """One image: (C, H, W)."""
        return self.images[index]

    def mask(self, index: int) -> Tensor:
        """One mask: (H, W)."""
        return self.labels[index]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A segmentation task with its three splits.

    Args:
        name: for reports.
        classes: names of the K classes in the order of their indices.
        in_channels: C of the images.
        train: for training networks.
        val: for comparing placements.
        test: for the final evaluation.
        mean: of each channel over the training pixels, in pixel units.
        std: of each channel over the training pixels, in pixel units; 1 if the channel is constant.
        fingerprint: sha256 of everything that could change a result: pixels, masks, names, classes, shrinking.
        digests: of each image with its mask, by its split and name: ``train/a``.
    """

    name: str
    classes: tuple[str, ...]
    in_channels: int
    train: LabelledImages
    val: LabelledImages
    test: LabelledImages
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    digests: tuple[tuple[str, str], ...]

    @property
    def multi_label(self) -> bool:
        """Whether classes may overlap, so that a mask says for each class whether a pixel has it."""
        return self.train.multi_label

    @property
    def has_clips(self) -> bool:
        """Whether its images are the frames of clips."""
        return bool(self.train.clips)

    @property
    def units(self) -> str:
        """Its items in words: ``images``, or ``frames`` of clips."""
        return "frames" if self.has_clips else "images"

    @property
    def shortest_clip(self) -> int:
        """Number of frames of the shortest clip; 1 for still images."""
        return min((length for length, _ in self._clips()), default=1)

    @property
    def shortest_clip_name(self) -> str:
        """The first of the shortest clips with its split, as ``val/CLIP``; empty for still images."""
        return next((name for length, name in self._clips() if length == self.shortest_clip), "")

    def _clips(self) -> list[tuple[int, str]]:
        """Length and name of each clip."""
        return [
            (length, f"{name}/{split.names[end - 1].rpartition('/')[0]}")
            for name, split in (("train", self.train), ("val", self.val), ("test", self.test))
            for length, end in zip(split.clips, accumulate(split.clips), strict=True)
        ]


def pack(
    images: Sequence[Tensor],
    masks: Sequence[Tensor],
    names: Iterable[str],
    clips: Sequence[int] = (),
    *,
    multi_label: bool = False,
) -> LabelledImages:
    """Pack images of any sizes, all of one type of values, with their masks.

    Args:
        images: each (C, H, W), all of the same C; at least one.
        masks: each (H, W) uint8, or int32 if more than seven classes may overlap.
        names: one for each image.
        clips: number of frames of each clip, in the order of the images; empty for still images.
        multi_label: whether the masks are sets of classes that may overlap.
    """
    heights = tuple(mask.shape[0] for mask in masks)
    widths = tuple(mask.shape[1] for mask in masks)
    dtype = torch.uint8 if all(image.dtype == torch.uint8 for image in images) else torch.int32
    return LabelledImages(
        tuple(_copied(image, dtype) for image in images),
        tuple(_copied(mask, mask.dtype if multi_label else torch.uint8) for mask in masks),
        heights,
        widths,
        tuple(names),
        tuple(clips),
        multi_label=multi_label,
    )


def _copied(values: Tensor, dtype: torch.dtype) -> Tensor:
    """The same values in contiguous memory."""
    return torch.empty(values.shape, dtype=dtype).copy_(values)


def assemble(
    name: str,
    classes: Sequence[str],
    train: LabelledImages,
    val: LabelledImages,
    test: LabelledImages,
    longest_side: int | None = None,
) -> Dataset:
    """Make a data set, with the statistics and the fingerprint of its splits.

    Args:
        name: for reports.
        classes: names in the order of their indices.
        train: the training split.
        val: the validation split.
        test: the test split.
        longest_side: to which larger images were shrunk; None if they were left as they are.
    """
    found = summarise({"train": train, "val": val, "test": test}, classes, longest_side)
    return Dataset(
        name=name,
        classes=tuple(classes),
        in_channels=train.channels,
        train=train,
        val=val,
        test=test,
        mean=found.mean,
        std=found.std,
        fingerprint=found.fingerprint,
        digests=found.digests,
    )
