"""How predictions and masks overlap, counted on the device image by image."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from nas_attn.data.overlapping import known_bits
from nas_attn.errors import DataError, UsageError
from nas_attn.training.metrics.iou import IGNORED


class OverlapCounts(Metric):
    """Counts of labelled, predicted and rightly predicted pixels, summed over all updates (and processes).

    The row sums, column sums and diagonal of torchmetrics' ``MulticlassConfusionMatrix``, but no update waits for
    the GPU or takes K^2 numbers per image: integers add up exactly in any order.

    Args:
        classes: K.
        images: N, into which the pixels are counted apart.
        multi_label: whether classes may overlap.
    """

    counts: Tensor
    full_state_update = False

    def __init__(self, classes: int, images: int = 1, *, multi_label: bool = False) -> None:
        super().__init__()
        self.classes, self.multi_label = classes, multi_label
        # Two bins follow the 3 * K of each image: ignored pixels, and pixels whose values are no class.
        self.add_state("counts", torch.zeros(images, 3 * classes + 2, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, labels: Tensor, masks: Tensor, numbers: Tensor | None = None) -> None:
        """Count the pixels of a batch, where the tensors are; as ``IntersectionOverUnion.update``."""
        _check(labels, masks)
        if self.multi_label:
            self._add_planes(labels, masks, numbers)
            return
        predicted, true = labels.to(torch.long), masks.to(torch.long)
        ignored, width = true == IGNORED, 3 * self.classes + 2
        known = (true >= 0) & (true < self.classes) & (predicted >= 0) & (predicted < self.classes)
        start = 0 if numbers is None else width * numbers.to(true.device)[:, None, None]
        self.counts = self.counts.to(true.device)
        beside = torch.where(ignored, 3 * self.classes, 3 * self.classes + 1)
        self._add(torch.where(known, true, beside) + start)
        self._add(torch.where(known, self.classes + predicted, 3 * self.classes) + start)
        self._add(torch.where(known & (true == predicted), 2 * self.classes + true, 3 * self.classes) + start)

    def _add_planes(self, labels: Tensor, masks: Tensor, numbers: Tensor | None) -> None:
        """Count a batch class by class, (B, H, W) sets of classes."""
        from nas_attn.training.overlap import has_class

        self.counts = self.counts.to(masks.device)
        counts, known = self.counts.view(len(self.counts), -1), masks != IGNORED
        rows = torch.zeros(len(masks), dtype=torch.long) if numbers is None else numbers
        parts: list[Tensor] = []
        for index in range(self.classes):
            true, predicted = has_class(masks, index), has_class(labels, index) & known
            parts += [true, predicted, true & predicted]
        strange = known & ((masks | labels) & ~known_bits(self.classes) != 0)
        ordered = [*parts[0::3], *parts[1::3], *parts[2::3], ~known, strange]
        counts.index_add_(0, rows.to(masks.device), torch.stack([one.sum((1, 2)) for one in ordered], 1))

    def _add(self, bins: Tensor) -> None:
        bins = bins.flatten()
        self.counts.view(-1).index_add_(0, bins, torch.ones_like(bins))

    def compute(self) -> Tensor:
        """Labelled, predicted and rightly predicted pixels on the CPU, (N, 3, K).

        Raises:
            DataError: a pixel held a value that is neither a class nor 255.
        """
        counts = self.counts.cpu()
        if strangers := int(counts[:, -1].sum()):
            if self.multi_label:
                raise DataError(f"{strangers} pixels hold a class beyond the {self.classes} that there are")
            raise DataError(
                f"{strangers} pixels hold a value that is no class; "
                f"labels must be 0 to {self.classes - 1}, masks 0 to {self.classes - 1} or {IGNORED} (ignored)"
            )
        return counts[:, : 3 * self.classes].reshape(-1, 3, self.classes)


def _check(labels: Tensor, masks: Tensor) -> None:
    if labels.shape != masks.shape:
        raise UsageError(
            f"labels have the shape {tuple(labels.shape)} and masks {tuple(masks.shape)}; both must be (N, H, W)"
        )
    for name, values in (("labels", labels), ("masks", masks)):
        if values.is_floating_point():
            raise UsageError(f"{name} are {values.dtype}; they must be whole numbers: classes, not scores")
