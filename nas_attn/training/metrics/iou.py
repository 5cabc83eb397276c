"""The one intersection over union."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_attn.counts import ImageCounts
from nas_attn.errors import DataError, UsageError

IGNORED = 255
"""Label of a pixel that is left out."""

IOU_DEFINITION = (
    "IoU of a class: pixels labelled and predicted as the class, over pixels labelled or predicted as it, "
    "all images pooled; the mean is over the classes that occur in masks or predictions, background included; "
    "ignored pixels (255) are left out"
)


class IntersectionOverUnion:
    """Mean IoU, pooled over all pixels of all updates (and, where torch.distributed runs, of all processes).

    Each update is counted on the device of its tensors; only ``compute`` waits for that device.

    Args:
        classes: K, background included.
        groups: G, into which the images are counted apart for ``counts``.
    Raises:
        UsageError: ``classes`` is not between 1 and 255.
    """

    def __init__(self, classes: int, groups: int = 1) -> None:
        if not 1 <= classes <= IGNORED:
            raise UsageError(f"classes is {classes!r}; it must be a whole number from 1 to {IGNORED}")
        # torchmetrics takes seconds to import, and who only counts operations needs none of it.
        from nas_attn.training.metrics.confusion import ConfusionMatrix

        self._confusion = ConfusionMatrix(classes, groups)

    def update(self, labels: Tensor, masks: Tensor, groups: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            labels: predicted classes, (N, H, W), whole numbers.
            masks: true classes, (N, H, W), whole numbers; pixels of 255 are left out.
            groups: of each image, (N,), from 0 to below G; None puts all into the first.
        Raises:
            UsageError: the two differ in shape, or are no whole numbers.
        """
        self._confusion.update(labels, masks, groups)

    def compute(self) -> tuple[float, tuple[float | None, ...]]:
        """The mean and the IoU of each class; None for a class that neither masks nor predictions hold.

        Raises:
            DataError: no pixel was counted, or one held a value that is no class.
        """
        if not self._confusion.update_called:
            # torchmetrics would warn of a state without updates; one without pixels is judged below.
            nothing = torch.zeros(0, dtype=torch.long)
            self._confusion.update(nothing, nothing)
        return mean_iou(self._confusion.compute().sum(0))

    def counts(self) -> ImageCounts:
        """Intersections and unions of each group of images.

        Raises:
            DataError: a pixel held a value that is no class.
        """
        return ImageCounts.of(*(counts.numpy() for counts in _overlaps(self._confusion.compute())))

    def reset(self) -> None:
        """Forget all updates."""
        self._confusion.reset()


def mean_iou(confusion: Tensor) -> tuple[float, tuple[float | None, ...]]:
    """The mean and the IoU of each class of a (K, K) confusion matrix.

    Raises:
        DataError: the matrix counts no pixel.
    """
    intersections, unions = (counts.tolist() for counts in _overlaps(confusion))
    per_class = tuple(
        intersection / union if union else None for intersection, union in zip(intersections, unions, strict=True)
    )
    occurring = [iou for iou in per_class if iou is not None]
    if not occurring:
        raise DataError(
            "no pixel to judge: there was no image, or all pixels of the masks are 255 (ignored); label some"
        )
    return sum(occurring) / len(occurring), per_class


def _overlaps(confusion: Tensor) -> tuple[Tensor, Tensor]:
    """Intersections and unions of each class, (..., K, K) -> (..., K)."""
    intersections = confusion.diagonal(dim1=-2, dim2=-1)
    return intersections, confusion.sum(-2) + confusion.sum(-1) - intersections
