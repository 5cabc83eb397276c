"""What every source of data becomes: three splits of labelled images, packed as tensors."""

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
"""The mask value of pixels that neither train nor score."""

MAX_CLASSES = 254


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images and their masks, each of its own size.

    Args:
        images: each (C, H, W), uint8, or int32 where a channel has 16 bits; of a folder each is decoded when it is
            asked for.
        labels: the mask of each, (H, W), uint8 class indices; 255 where ignored. Of classes that may overlap the
            bits of ``overlapping.bit_of``, in int32 where there are more than seven. Likewise.
        heights: of each image.
        widths: of each image.
        names: of each image.
        clips: number of frames of each clip, in the order of the images; empty where these are still.
        groups: of each image what it belongs to, such as a patient, empty for one that belongs to none; no groups
            at all where nothing was declared.
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
        """Of the pixels."""
        return self._kind[1]

    @cached_property
    def _kind(self) -> tuple[int, torch.dtype]:
        first = self.images[0]
        return first.shape[0], first.dtype

    @cached_property
    def counts(self) -> tuple[dict[int, int], ...]:
        """Of each mask how many pixels have which value."""
        return tuple(in_turn(lambda number: dict(value_counts(self.mask(number).numpy())), len(self)))

    @property
    def pixels(self) -> Tensor:
        """All images in a new tensor, padded with 0 at the bottom and the right to a common size: (N, C, H, W).

        It is as large as if all images were as large as the largest.
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
        train: what networks are trained on.
        val: what placements are compared on.
        test: what is looked at last.
        mean: of each channel over the training pixels, in pixel units.
        std: of each channel over the training pixels, in pixel units; 1 where the channel is constant.
        fingerprint: sha256 of all that could change a result: pixels, masks, names, classes, shrinking.
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
        """Whether classes may overlap: a mask says of each whether a pixel has it."""
        return self.train.multi_label

    @property
    def has_clips(self) -> bool:
        """Whether its images are the frames of clips."""
        return bool(self.train.clips)

    @property
    def units(self) -> str:
        """What it holds, in words: ``images``, or ``frames`` of clips."""
        return "frames" if self.has_clips else "images"

    @property
    def shortest_clip(self) -> int:
        """Number of frames of the shortest clip; 1 where images are still."""
        return min((length for length, _ in self._clips()), default=1)

    @property
    def shortest_clip_name(self) -> str:
        """The first of the shortest clips with its split, as ``val/CLIP``; empty where images are still."""
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
    """Images of any sizes, all of one type of values, with their masks.

    Args:
        images: each (C, H, W), all of the same C; at least one.
        masks: each (H, W) uint8, or int32 where more than seven classes may overlap.
        names: one for each image.
        clips: number of frames of each clip, in the order of the images; none where these are still.
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
    """The same values with rows one after another, whatever they were a part of."""
    return torch.empty(values.shape, dtype=dtype).copy_(values)


def assemble(
    name: str,
    classes: Sequence[str],
    train: LabelledImages,
    val: LabelledImages,
    test: LabelledImages,
    longest_side: int | None = None,
) -> Dataset:
    """A data set with the statistics and the fingerprint that its splits have.

    Args:
        name: for reports.
        classes: names in the order of their indices.
        train: the training split.
        val: the validation split.
        test: the test split.
        longest_side: to which larger images were shrunk; None where they were left as they are.
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
