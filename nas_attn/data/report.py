"""The report on a folder, and a data set in numbers, as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_attn.data.clip_folders import clip_lengths
from nas_attn.data.dataset import IGNORED, Dataset, LabelledImages
from nas_attn.data.examine import Examined
from nas_attn.data.layout import SPLITS
from nas_attn.data.meaning import Meaning
from nas_attn.data.overlapping import Overlapping
from nas_attn.data_card import DataCard, SplitReport


@dataclass(frozen=True)
class FolderReport:
    """The report on a folder.

    Args:
        folder: as it was given.
        name: of the data set.
        layout: in words.
        declared_in: name of the file that declares classes and the like; empty if there is none.
        classes: names in the order of their indices; empty if they are unclear.
        multi_label: whether the classes may overlap.
        ignore_index: mask value of ignored pixels; None if none is declared.
        in_channels: C; None if the images differ.
        bits: 8 or 16; None if there is no image.
        endings: (suffix, number of image files).
        splits: in the order train, val, test.
        notes: what was converted or left out, one line each.
        problems: why the folder cannot be used, one line each.
    """

    folder: str
    name: str
    layout: str
    declared_in: str
    classes: tuple[str, ...]
    ignore_index: int | None
    in_channels: int | None
    bits: int | None
    endings: tuple[tuple[str, int], ...]
    splits: tuple[SplitReport, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]
    multi_label: bool = False

    @property
    def usable(self) -> bool:
        """Whether ``read_folder`` would accept the folder."""
        return not self.problems


def report_splits(examined: Sequence[Examined], meaning: Meaning | Overlapping | None) -> tuple[SplitReport, ...]:
    """The splits in numbers; without shares if the classes are unclear."""
    chosen = {split: [each for each in examined if each.pair.split == split] for split in SPLITS}
    return tuple(_report(split, each, meaning) for split, each in chosen.items() if each)


def _report(split: str, examined: Sequence[Examined], meaning: Meaning | Overlapping | None) -> SplitReport:
    sizes = [(each.height, each.width) for each in examined]
    counted = [meaning.count(each.counts) for each in examined] if meaning else []
    labelled = sum(meaning.labelled(each.counts) for each in examined) if meaning else 0
    return SplitReport.of(split, sizes, counted, labelled, clip_lengths(examined))


def card_of(dataset: Dataset) -> DataCard:
    """The data card of a data set, with its images as networks see them."""
    splits = (("train", dataset.train), ("val", dataset.val), ("test", dataset.test))
    reports = tuple(_split_report(name, images, dataset.classes) for name, images in splits)
    return DataCard(dataset.in_channels, dataset.classes, reports, dataset.multi_label)


def absent_classes(images: LabelledImages, classes: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes that occur in no mask, which a mean over classes leaves out."""
    held = zip(*(pixels for pixels, _ in _pixels_of_classes(images, classes)), strict=True)
    return tuple(name for name, pixels in zip(classes, held, strict=True) if not any(pixels))


def _split_report(name: str, images: LabelledImages, classes: Sequence[str]) -> SplitReport:
    counted = _pixels_of_classes(images, classes)
    sizes = list(zip(images.heights, images.widths, strict=True))
    labelled = sum(height * width for height, width in sizes) - sum(ignored for _, ignored in counted)
    return SplitReport.of(name, sizes, counted, labelled, images.clips)


def _pixels_of_classes(images: LabelledImages, classes: Sequence[str]) -> list[tuple[tuple[int, ...], int]]:
    """For each image, the pixels of each class, and the ignored pixels."""
    meaning: Meaning | Overlapping = Overlapping(tuple(classes), IGNORED)
    if not images.multi_label:
        indices = tuple((index, index) for index in range(len(classes)))
        meaning = Meaning(tuple(classes), indices, IGNORED)
    return [meaning.count(counts.items()) for counts in images.counts]
