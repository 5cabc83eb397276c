"""Counting a data set for its card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch

from nas_attn.data.dataset import IGNORED, Dataset, LabelledImages
from nas_attn.data_card import DataCard, SplitReport


def card_of(dataset: Dataset) -> DataCard:
    """The data card of a data set, as networks see its images."""
    splits = (("train", dataset.train), ("val", dataset.val), ("test", dataset.test))
    counted = (_counted(name, images, len(dataset.classes)) for name, images in splits)
    return DataCard(dataset.in_channels, dataset.classes, tuple(counted))


def absent_classes(images: LabelledImages, classes: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes that no mask holds, which are no part of a mean over classes."""
    held = torch.zeros(IGNORED + 1, dtype=torch.long)
    for index in range(len(images)):
        held += torch.bincount(images.mask(index).flatten(), minlength=IGNORED + 1)
    return tuple(name for name, pixels in zip(classes, held.tolist(), strict=False) if not pixels)


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
