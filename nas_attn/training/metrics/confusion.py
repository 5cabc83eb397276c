"""How often each class was taken for each other class."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from nas_attn.errors import DataError, UsageError
from nas_attn.training.metrics.iou import IGNORED


class ConfusionMatrix(Metric):
    """Counts of pixels by true and predicted class, pooled over all updates (and processes).

    The same numbers as torchmetrics' ``MulticlassConfusionMatrix``, but no update waits for the GPU or takes
    K^2 numbers per pixel where torch is told to be deterministic: integers add up exactly in any order.

    Args:
        classes: K.
        groups: G, into which the images are counted apart.
    """

    counts: Tensor
    full_state_update = False

    def __init__(self, classes: int, groups: int = 1) -> None:
        super().__init__()
        self.classes = classes
        # Two bins follow the K * K of each matrix: ignored pixels, and pixels whose values are no class.
        self.add_state("counts", torch.zeros(groups, classes**2 + 2, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, labels: Tensor, masks: Tensor, groups: Tensor | None = None) -> None:
        """Count the pixels of a batch, where the tensors are.

        Args:
            labels: predicted classes, (N, H, W), whole numbers.
            masks: true classes, (N, H, W), whole numbers; pixels of 255 are left out.
            groups: of each image, (N,), from 0 to below G; None puts all into the first.
        Raises:
            UsageError: the two differ in shape, or are no whole numbers.
        """
        _check(labels, masks)
        predicted, true = labels.to(torch.long), masks.to(torch.long)
        known = (true >= 0) & (true < self.classes) & (predicted >= 0) & (predicted < self.classes)
        bins = torch.where(known, true * self.classes + predicted, self.classes**2 + 1)
        bins = torch.where(true == IGNORED, self.classes**2, bins)
        if groups is not None:
            bins = bins + (self.classes**2 + 2) * groups.to(bins.device)[:, None, None]
        bins = bins.flatten()
        self.counts = self.counts.to(bins.device)
        self.counts.view(-1).index_add_(0, bins, torch.ones_like(bins))

    def compute(self) -> Tensor:
        """The counts on the CPU, (G, K, K): true classes down, predicted classes across.

        Raises:
            DataError: a pixel held a value that is neither a class nor 255.
        """
        counts = self.counts.cpu()
        if strangers := int(counts[:, -1].sum()):
            raise DataError(
                f"{strangers} pixels hold a value that is no class; "
                f"labels must be 0 to {self.classes - 1}, masks 0 to {self.classes - 1} or {IGNORED} (ignored)"
            )
        return counts[:, : self.classes**2].reshape(-1, self.classes, self.classes)


def _check(labels: Tensor, masks: Tensor) -> None:
    if labels.shape != masks.shape:
        raise UsageError(
            f"labels have the shape {tuple(labels.shape)} and masks {tuple(masks.shape)}; both must be (N, H, W)"
        )
    for name, values in (("labels", labels), ("masks", masks)):
        if values.is_floating_point():
            raise UsageError(f"{name} are {values.dtype}; they must be whole numbers: classes, not scores")
