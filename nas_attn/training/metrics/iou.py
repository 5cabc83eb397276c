"""The one counter of segmentations, and their intersection over union."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_attn.errors import DataError, UsageError
from nas_attn.metric import Overlaps

IGNORED = 255
"""Label of a pixel that is left out."""


class IntersectionOverUnion:
    """IoU of each class, pooled over all pixels of all updates (and of all processes of torch.distributed).

    Each update is counted on the device of its tensors; only ``compute`` and ``overlaps`` wait for that device.

    Args:
        classes: K, background included.
        images: N, which ``overlaps`` tells apart.
        multi_label: whether classes may overlap: labels and masks are then sets of them, as of ``overlap``.
    Raises:
        UsageError: ``classes`` is not between 1 and 255.
    """

    def __init__(self, classes: int, images: int = 1, *, multi_label: bool = False) -> None:
        if not 1 <= classes <= IGNORED:
            raise UsageError(f"classes is {classes!r}; it must be a whole number from 1 to {IGNORED}")
        # torchmetrics takes seconds to import, and who only counts operations needs none of it.
        from nas_attn.training.metrics.overlaps import OverlapCounts

        self._counts = OverlapCounts(classes, images, multi_label=multi_label)

    def update(self, labels: Tensor, masks: Tensor, numbers: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            labels: predicted classes, (B, H, W), whole numbers.
            masks: true classes, (B, H, W), whole numbers; pixels of 255 are left out.
            numbers: of each image, (B,), from 0 to below N; None counts all as the first.
        Raises:
            UsageError: the two differ in shape, or are no whole numbers.
        """
        self._counts.update(labels, masks, numbers)

    def compute(self) -> tuple[float, tuple[float | None, ...]]:
        """The mean and the IoU of each class; None for a class that the masks lack, which is no part of the mean.

        Raises:
            DataError: no pixel was counted, or one held a value that is no class.
        """
        return mean_iou(self.overlaps())

    def overlaps(self) -> Overlaps:
        """What was counted, image by image.

        Raises:
            DataError: a pixel held a value that is no class.
        """
        if not self._counts.update_called:
            # torchmetrics would warn of a state without updates; one without pixels is judged by who asks.
            nothing = torch.zeros(0, 1, 1, dtype=torch.long)
            self._counts.update(nothing, nothing)
        return Overlaps(*self._counts.compute().numpy().transpose(1, 0, 2), multi_label=self._counts.multi_label)

    def reset(self) -> None:
        """Forget all updates."""
        self._counts.reset()


def mean_iou(overlaps: Overlaps) -> tuple[float, tuple[float | None, ...]]:
    """The mean and the IoU of each class; None for a class that the masks lack, which is no part of the mean.

    Raises:
        DataError: no pixel was counted.
    """
    pooled = overlaps.pooled()
    per_class = tuple(
        both / (labelled + predicted - both) if labelled else None
        for labelled, predicted, both in zip(
            pooled.labelled[0].tolist(), pooled.predicted[0].tolist(), pooled.both[0].tolist(), strict=True
        )
    )
    occurring = [iou for iou in per_class if iou is not None]
    if not occurring:
        raise DataError(
            "no pixel to judge: there was no image, or all pixels of the masks are 255 (ignored); label some"
        )
    return sum(occurring) / len(occurring), per_class
