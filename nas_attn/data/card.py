"""What a data set is made of, in numbers: the data card of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch

from nas_attn.data.dataset import IGNORED, Dataset, LabelledImages
from nas_attn.data.report import SplitReport

_TITLES = {"train": "training", "val": "validation", "test": "test"}
_SIZES_SHOWN = 4


@dataclass(frozen=True)
class DataCard:
    """The images of a data set as networks see them: shrunk, where the set was.

    Args:
        in_channels: C.
        classes: names in the order of their indices.
        splits: in the order train, val, test.
    """

    in_channels: int
    classes: tuple[str, ...]
    splits: tuple[SplitReport, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Count a data set."""
        splits = (("train", dataset.train), ("val", dataset.val), ("test", dataset.test))
        counted = (_counted(name, images, len(dataset.classes)) for name, images in splits)
        return cls(dataset.in_channels, dataset.classes, tuple(counted))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``."""
        splits = (
            SplitReport(
                split=split["split"],
                images=split["images"],
                sizes=tuple(map(tuple, split["sizes"])),
                class_shares=tuple(split["class_shares"]),
                class_images=tuple(split["class_images"]),
                ignored_share=split["ignored_share"],
                clips=tuple(split.get("clips", ())),
            )
            for split in values["splits"]
        )
        return cls(values["in_channels"], tuple(values["classes"]), tuple(splits))

    def lines(self) -> Iterator[tuple[str, str]]:
        """(name, text) pairs: a line for each split, then one for each class."""
        channels = f"{self.in_channels} channel{'' if self.in_channels == 1 else 's'}"
        for split in self.splits:
            yield f"{_TITLES[split.split]} images", f"{split.images}{split.in_clips}, {channels}: {_sizes(split)}"
        for index, name in enumerate(self.classes):
            yield f"class {index}, {name}", self._class_line(index)
        if any(split.ignored_share for split in self.splits):
            ignored = (f"{split.ignored_share:.2%} in {_TITLES[split.split]}" for split in self.splits)
            yield "ignored pixels", ", ".join(ignored)

    def _class_line(self, index: int) -> str:
        """``66.94% of the pixels in training, 68.76% in validation, ...; it is in 36, 12 and 12 images``."""
        train, val, test = (split.class_shares[index] for split in self.splits)
        in_train, in_val, in_test = (split.class_images[index] for split in self.splits)
        return (
            f"{train:.2%} of the pixels in training, {val:.2%} in validation, {test:.2%} in test; it is in "
            f"{in_train}, {in_val} and {in_test} images"
        )


def _counted(name: str, images: LabelledImages, n_classes: int) -> SplitReport:
    counts = torch.stack(
        [torch.bincount(images.mask(index).flatten(), minlength=IGNORED + 1) for index in range(len(images))]
    )
    pixels, ignored = counts[:, :n_classes].sum(0), int(counts[:, IGNORED].sum())
    labelled = int(pixels.sum())
    sizes = Counter(zip(images.heights, images.widths, strict=True))
    return SplitReport(
        split=name,
        images=len(images),
        sizes=tuple((*size, number) for size, number in sizes.most_common()),
        class_shares=tuple(count / max(1, labelled) for count in pixels.tolist()),
        class_images=tuple((counts[:, :n_classes] > 0).sum(0).tolist()),
        ignored_share=ignored / max(1, ignored + labelled),
        clips=images.clips,
    )


def _sizes(split: SplitReport) -> str:
    """Width x height, the most frequent ones."""
    if len(split.sizes) == 1:
        ((height, width, _),) = split.sizes
        return f"{width}x{height} pixels"
    shown = ", ".join(f"{number} of {width}x{height}" for height, width, number in split.sizes[:_SIZES_SHOWN])
    more = sum(number for _, _, number in split.sizes[_SIZES_SHOWN:])
    return f"{shown}{f', {more} of other sizes' if more else ''} pixels"
