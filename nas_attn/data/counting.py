"""Counting a data set for its card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nas_attn.data.dataset import IGNORED, Dataset, LabelledImages
from nas_attn.data_card import DataCard, SplitReport
from nas_attn.label_sets import bit_of


def card_of(dataset: Dataset) -> DataCard:
    """The data card of a data set, as networks see its images."""
    splits = (("train", dataset.train), ("val", dataset.val), ("test", dataset.test))
    counted = (_counted(name, images, len(dataset.classes)) for name, images in splits)
    return DataCard(dataset.in_channels, dataset.classes, tuple(counted), dataset.multi_label)


def absent_classes(images: LabelledImages, classes: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes that no mask holds, which are no part of a mean over classes."""
    held = _class_pixels(images, len(classes))[:, :-1].sum(0)
    return tuple(name for name, pixels in zip(classes, held.tolist(), strict=True) if not pixels)


def _counted(name: str, images: LabelledImages, n_classes: int) -> SplitReport:
    counts = _class_pixels(images, n_classes)
    pixels, ignored = counts[:, :-1].sum(0), int(counts[:, -1].sum())
    whole = sum(height * width for height, width in zip(images.heights, images.widths, strict=True))
    labelled = whole - ignored
    sizes = Counter(zip(images.heights, images.widths, strict=True))
    return SplitReport(
        split=name,
        images=len(images),
        sizes=tuple((*size, number) for size, number in sizes.most_common()),
        class_shares=tuple(count / max(1, labelled) for count in pixels.tolist()),
        class_images=tuple((counts[:, :-1] > 0).sum(0).tolist()),
        ignored_share=ignored / max(1, whole),
        clips=images.clips,
    )


def _class_pixels(images: LabelledImages, n_classes: int) -> Tensor:
    """Of each image the pixels of each class, and last those that are ignored, (N, K + 1)."""
    of_mask = _overlapping if images.multi_label else _exclusive
    return torch.tensor([of_mask(counts, n_classes) for counts in images.counts])


def _exclusive(counts: Mapping[int, int], n_classes: int) -> list[int]:
    return [counts.get(value, 0) for value in (*range(n_classes), IGNORED)]


def _overlapping(counts: Mapping[int, int], n_classes: int) -> list[int]:
    bits = [1 << bit_of(index) for index in range(n_classes)]
    of_class = [sum(number for code, number in counts.items() if code != IGNORED and code & bit) for bit in bits]
    return [*of_class, counts.get(IGNORED, 0)]
