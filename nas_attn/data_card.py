"""A data set in numbers: the data card of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

_TITLES = {"train": "training", "val": "validation", "test": "test"}
_SIZES_SHOWN = 4


@dataclass(frozen=True)
class SplitReport:
    """One split in numbers.

    Args:
        split: ``train``, ``val`` or ``test``.
        images: number of images.
        sizes: (height, width, number of images), the most frequent size first.
        class_shares: share of each class among the pixels that are not ignored.
        class_images: number of images in which each class occurs.
        ignored_share: share of the ignored pixels.
        clips: number of frames of each clip; empty for still images.
    """

    split: str
    images: int
    sizes: tuple[tuple[int, int, int], ...]
    class_shares: tuple[float, ...]
    class_images: tuple[int, ...]
    ignored_share: float
    clips: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        split: str,
        sizes: Sequence[tuple[int, int]],
        counted: Sequence[tuple[Sequence[int], int]],
        labelled: int,
        clips: tuple[int, ...],
    ) -> Self:
        """Summarise the counts of all images.

        Args:
            split: ``train``, ``val`` or ``test``.
            sizes: height and width of each image.
            counted: for each image, the pixels of each class and the ignored pixels; empty if the classes are not
                known.
            labelled: pixels of all images that are not ignored.
            clips: number of frames of each clip.
        """
        ignored = sum(of_image for _, of_image in counted)
        of_classes = list(zip(*(pixels for pixels, _ in counted), strict=True))
        return cls(
            split=split,
            images=len(sizes),
            sizes=tuple((*size, number) for size, number in Counter(sizes).most_common()),
            class_shares=tuple(sum(pixels) / max(1, labelled) for pixels in of_classes),
            class_images=tuple(sum(one > 0 for one in pixels) for pixels in of_classes),
            ignored_share=ignored / max(1, ignored + labelled),
            clips=clips,
        )

    @property
    def in_clips(self) -> str:
        """`` in 3 clips of 5 to 8 frames``; empty for still images."""
        if not self.clips:
            return ""
        shortest, longest = min(self.clips), max(self.clips)
        frames = str(longest) if shortest == longest else f"{shortest} to {longest}"
        return f" in {len(self.clips)} clip{'s' if len(self.clips) > 1 else ''} of {frames} frames"


@dataclass(frozen=True)
class DataCard:
    """The images of a data set as networks see them, after any shrinking.

    Args:
        in_channels: C.
        classes: names in the order of their indices.
        splits: in the order train, val, test.
        multi_label: whether the classes may overlap.
    """

    in_channels: int
    classes: tuple[str, ...]
    splits: tuple[SplitReport, ...]
    multi_label: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON, without default values."""
        return {name: value for name, value in asdict(self).items() if name != "multi_label" or value}

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
        return cls(
            values["in_channels"], tuple(values["classes"]), tuple(splits), bool(values.get("multi_label", False))
        )

    def lines(self) -> Iterator[tuple[str, str]]:
        """(name, text) pairs: a line for each split, then one for each class."""
        channels = f"{self.in_channels} channel{'' if self.in_channels == 1 else 's'}"
        for split in self.splits:
            yield f"{_TITLES[split.split]} images", f"{split.images}{split.in_clips}, {channels}: {_sizes(split)}"
        if self.multi_label:
            yield "classes", "may overlap: a pixel has any number of them, or none"
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


def _sizes(split: SplitReport) -> str:
    """Width x height of the most frequent sizes."""
    if len(split.sizes) == 1:
        ((height, width, _),) = split.sizes
        return f"{width}x{height} pixels"
    shown = ", ".join(f"{number} of {width}x{height}" for height, width, number in split.sizes[:_SIZES_SHOWN])
    more = sum(number for _, _, number in split.sizes[_SIZES_SHOWN:])
    return f"{shown}{f', {more} of other sizes' if more else ''} pixels"
