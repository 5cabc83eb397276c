"""Counting a data set for its card."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.data.dataset import IGNORED, Dataset, LabelledImages
from nas_attn.data.meaning import Meaning
from nas_attn.data.overlap_meaning import Overlapping
from nas_attn.data_card import DataCard, SplitReport


def card_of(dataset: Dataset) -> DataCard:
    """The data card of a data set, as networks see its images."""
    splits = (("train", dataset.train), ("val", dataset.val), ("test", dataset.test))
    reports = tuple(_report(name, images, dataset.classes) for name, images in splits)
    return DataCard(dataset.in_channels, dataset.classes, reports, dataset.multi_label)


def absent_classes(images: LabelledImages, classes: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes that no mask holds, which are no part of a mean over classes."""
    held = zip(*(pixels for pixels, _ in _counted(images, classes)), strict=True)
    return tuple(name for name, pixels in zip(classes, held, strict=True) if not any(pixels))


def _report(name: str, images: LabelledImages, classes: Sequence[str]) -> SplitReport:
    counted = _counted(images, classes)
    sizes = list(zip(images.heights, images.widths, strict=True))
    labelled = sum(height * width for height, width in sizes) - sum(ignored for _, ignored in counted)
    return SplitReport.of(name, sizes, counted, labelled, images.clips)


def _counted(images: LabelledImages, classes: Sequence[str]) -> list[tuple[tuple[int, ...], int]]:
    """Of each image the pixels of each class, and those that are ignored."""
    meaning: Meaning | Overlapping = Overlapping(tuple(classes), IGNORED)
    if not images.multi_label:
        indices = tuple((index, index) for index in range(len(classes)))
        meaning = Meaning(tuple(classes), indices, IGNORED)
    return [meaning.count(counts.items()) for counts in images.counts]
