"""The one counter of segmentation results, and their intersection over union."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor

from nas_attn.data.dataset import IGNORED
from nas_attn.data.overlapping import known_bits
from nas_attn.errors import DataError, UsageError
from nas_attn.metric import Overlaps
from nas_attn.training.overlap import has_class


class IntersectionOverUnion:
    """IoU of each class, pooled over all pixels of all updates (and of all processes of torch.distributed).

    It counts the row sums, column sums and diagonal of a confusion matrix, image by image, instead of the K^2
    entries. No update waits for the GPU: each is counted on the device of its tensors, and only ``compute`` and
    ``overlaps`` wait for that device. Integers add up exactly in any order.

    Args:
        classes: K, background included.
        images: N, the number of images that ``overlaps`` reports one by one.
        multi_label: whether classes may overlap; labels and masks are then sets of classes, encoded as in
            ``overlap``.
        device: of the counts, for a process that gets no update; the CPU by default.
    Raises:
        UsageError: ``classes`` is not between 1 and 255.
    """

    def __init__(
        self, classes: int, images: int = 1, *, multi_label: bool = False, device: torch.device | None = None
    ) -> None:
        if not 1 <= classes <= IGNORED:
            raise UsageError(f"classes is {classes!r}; it must be a whole number from 1 to {IGNORED}")
        self.classes, self.multi_label = classes, multi_label
        # Two bins follow the 3 * K of each image: ignored pixels, and pixels whose values are no class.
        self._counts = torch.zeros(images, 3 * classes + 2, dtype=torch.long, device=device)

    def update(self, labels: Tensor, masks: Tensor, numbers: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            labels: predicted classes, (B, H, W), whole numbers.
            masks: true classes, (B, H, W), whole numbers; pixels of 255 are left out.
            numbers: of each image, (B,), from 0 to below N; None counts all images as number 0.
        Raises:
            UsageError: the shapes of labels and masks differ, or their values are not whole numbers.
        """
        _check(labels, masks)
        self._counts = self._counts.to(masks.device)
        rows = torch.zeros(len(masks), dtype=torch.long) if numbers is None else numbers
        add = self._add_sets if self.multi_label else self._add_classes
        add(labels, masks, rows.to(masks.device))

    def _add_classes(self, labels: Tensor, masks: Tensor, rows: Tensor) -> None:
        predicted, true = labels.to(torch.long), masks.to(torch.long)
        known = (true >= 0) & (true < self.classes) & (predicted >= 0) & (predicted < self.classes)
        neither = 3 * self.classes
        beside = torch.where(true == IGNORED, neither, neither + 1)
        start = self._counts.shape[1] * rows[:, None, None]
        self._add(torch.where(known, true, beside) + start)
        self._add(torch.where(known, self.classes + predicted, neither) + start)
        self._add(torch.where(known & (true == predicted), 2 * self.classes + true, neither) + start)

    def _add(self, bins: Tensor) -> None:
        bins = bins.flatten()
        self._counts.view(-1).index_add_(0, bins, torch.ones_like(bins))

    def _add_sets(self, labels: Tensor, masks: Tensor, rows: Tensor) -> None:
        """Add a batch of sets of classes, class by class."""
        known = masks != IGNORED
        parts: list[Tensor] = []
        for index in range(self.classes):
            true, predicted = has_class(masks, index), has_class(labels, index) & known
            parts += [true, predicted, true & predicted]
        strange = known & ((masks | labels) & ~known_bits(self.classes) != 0)
        ordered = [*parts[0::3], *parts[1::3], *parts[2::3], ~known, strange]
        self._counts.index_add_(0, rows, torch.stack([one.sum((1, 2)) for one in ordered], 1))

    def compute(self) -> tuple[float, tuple[float | None, ...]]:
        """The mean IoU and the IoU of each class; None for a class that the masks lack, which the mean leaves out.

        Raises:
            DataError: no pixel was counted, or a pixel had a value that is not a class.
        """
        return mean_iou(self.overlaps())

    def overlaps(self) -> Overlaps:
        """The counts, image by image.

        Raises:
            DataError: a pixel had a value that is not a class.
        """
        counts = _of_all_processes(self._counts).cpu()
        if strangers := int(counts[:, -1].sum()):
            if self.multi_label:
                raise DataError(f"{strangers} pixels hold a class beyond the {self.classes} that there are")
            raise DataError(
                f"{strangers} pixels hold a value that is not a class; "
                f"labels must be 0 to {self.classes - 1}, masks 0 to {self.classes - 1} or {IGNORED} (ignored)"
            )
        apart = counts[:, : 3 * self.classes].reshape(-1, 3, self.classes).numpy()
        return Overlaps(*apart.transpose(1, 0, 2), multi_label=self.multi_label)

    def reset(self) -> None:
        """Forget all updates."""
        self._counts.zero_()


def mean_iou(overlaps: Overlaps) -> tuple[float, tuple[float | None, ...]]:
    """The mean IoU and the IoU of each class; None for a class that the masks lack, which the mean leaves out.

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


def _check(labels: Tensor, masks: Tensor) -> None:
    if labels.shape != masks.shape:
        raise UsageError(
            f"labels have the shape {tuple(labels.shape)} and masks {tuple(masks.shape)}; both must be (N, H, W)"
        )
    for name, values in (("labels", labels), ("masks", masks)):
        if values.is_floating_point():
            raise UsageError(f"{name} are {values.dtype}; they must be whole numbers: classes, not scores")


def _of_all_processes(counts: Tensor) -> Tensor:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return counts
    total = counts.clone()
    torch.distributed.all_reduce(total)
    return total
