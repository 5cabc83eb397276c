"""The losses of a training; what every run minimises unless told otherwise is cross-entropy plus soft Dice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_attn.losses import CE_DICE
from nas_attn.training.loss_terms import GAMMA, SMOOTH, dice, tversky
from nas_attn.training.metrics import IGNORED
from nas_attn.training.overlap import planes
from nas_attn.training.overlap_loss import OVERLAP_LOSSES, JudgedPlanes
from nas_attn.training.recipe import Recipe


class Loss(Protocol):
    """Judges a batch."""

    def __call__(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Shape: (N, K, H, W) unnormalised scores, (N, H, W) classes, 255 is ignored -> ()."""


def build_loss(
    name: str, class_weights: Sequence[float], device: torch.device, *, multi_label: bool = False
) -> Loss:
    """A loss that a CUDA graph can record: what it needs on the device is there, and nothing depends on values.

    ==========  ================================================================================================
    ce+dice     the sum of the next two (as nnU-Net, Isensee et al. 2021, doi:10.1038/s41592-020-01008-z)
    ce          cross-entropy, averaged over the labelled pixels of the batch
    dice        soft Dice loss (Milletari et al. 2016, arXiv:1606.04797, with plain sums)
    focal       (1 - p)^2 times the cross-entropy -log p of each pixel (Lin et al. 2017, arXiv:1708.02002, eq. 5,
                over the classes of a softmax)
    tversky     1 - TP / (TP + 0.3 FP + 0.7 FN) (Salehi et al. 2017, arXiv:1706.05721, eq. 4 with their best
                alpha and beta): a missed pixel costs more than a false one
    ==========  ================================================================================================

    Where classes may overlap, each is judged by the sigmoid of its score, and ``bce`` takes the place of ``ce``:
    the binary cross-entropy, averaged over the labelled pixels and all classes; focal is the paper's eq. 5.

    Dice and Tversky are taken per class over the whole batch and averaged over the classes that occur in it.
    Class weights weigh the pixels of the class in ce and focal and its term in dice and tversky, and every mean is
    divided by the weights that are in it, so that only their ratios matter.

    Args:
        name: one of ``LOSSES``.
        class_weights: of each class, above 0; empty where all count alike.
        device: of the batches.
        multi_label: whether masks are sets of classes that may overlap.
    """
    weights = torch.tensor(class_weights, dtype=torch.float32, device=device) if class_weights else None
    least = min(class_weights, default=1.0)

    def overlap_loss(logits: Tensor, masks: Tensor) -> Tensor:
        truth = planes(masks, logits.shape[1])
        return OVERLAP_LOSSES[name](JudgedPlanes.of(logits, truth, weights, least))

    if multi_label:
        return overlap_loss

    def loss(logits: Tensor, masks: Tensor) -> Tensor:
        return _LOSSES[name](_Judged.of(logits, masks, weights, least))

    return loss


def loss_of(recipe: Recipe, device: torch.device) -> Loss:
    """The loss that a recipe asks for."""
    return build_loss(recipe.loss, recipe.class_weights, device, multi_label=recipe.multi_label)


def segmentation_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice loss (Milletari et al. 2016, arXiv:1606.04797, with plain sums), in float32.

    Dice is taken per class over the whole batch and averaged over the classes that occur in the batch, so
    that a class absent from a small batch neither rewards nor punishes.

    Args:
        logits: unnormalised scores.
        masks: class indices; 255 is ignored.
    Shape: (N, K, H, W), (N, H, W) -> ().
        A batch in which every pixel is ignored has the loss 0.
    """
    return _LOSSES[CE_DICE](_Judged.of(logits, masks))


def image_scores(logits: Tensor, masks: Tensor) -> Tensor:
    """The soft Dice of each image, averaged over the classes that occur in it; 0 where every pixel is ignored.

    Args:
        logits: unnormalised scores.
        masks: class indices, or of each class, where these may overlap, 0 and 1; 255 is ignored.
    Shape: (N, K, H, W), (N, H, W) or (N, K, H, W) -> (N,), from 0 to 1.
    """
    if masks.ndim == logits.ndim:
        truth = (masks == 1).float()
        probability = logits.float().sigmoid() * (masks[:, :1] != IGNORED)
    else:
        target, weight = _target_and_weight(masks)
        probability = logits.float().softmax(1) * weight.unsqueeze(1)
        truth = _truth(probability, target, weight)
    size = (probability + truth).sum((2, 3))
    of_class = (2 * (probability * truth).sum((2, 3)) + SMOOTH) / (size + SMOOTH)
    present = (truth.sum((2, 3)) > 0).float()
    return (of_class * present).sum(1) / present.sum(1).clamp(min=1)


@dataclass(frozen=True, eq=False)
class _Judged:
    """A batch as the losses look at it, in float32.

    Args:
        log_probability: of each class.
        target: class indices, 0 where they are ignored.
        labelled: 1 where a pixel counts, 0 where it is ignored.
        weights: of each class; None where all count alike.
        least: of the weights; no sum of the weights that occur is below it.
    Shape: log_probability (N, K, H, W), target and labelled (N, H, W), weights (K,).
    """

    log_probability: Tensor
    target: Tensor
    labelled: Tensor
    weights: Tensor | None = None
    least: float = 1.0

    @classmethod
    def of(cls, logits: Tensor, masks: Tensor, weights: Tensor | None = None, least: float = 1.0) -> _Judged:
        target, labelled = _target_and_weight(masks)
        return cls(F.log_softmax(logits.float(), dim=1), target, labelled, weights, least)

    def mean_of_pixels(self, values: Tensor) -> Tensor:
        """Of the labelled pixels, each with the weight of its class; 0 where there is none."""
        weight = self.labelled if self.weights is None else self.labelled * self.weights[self.target]
        return (values * weight).sum() / weight.sum().clamp(min=self.least)

    def overlaps(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of each class what is predicted and true, what is predicted, and what is true, in pixels, (K,) each."""
        probability = self.log_probability.exp()
        truth = _truth(probability, self.target, self.labelled)
        predicted = (probability * self.labelled.unsqueeze(1)).sum((0, 2, 3))
        return (probability * truth).sum((0, 2, 3)), predicted, truth.sum((0, 2, 3))


def _log_of_truth(batch: _Judged) -> Tensor:
    """The logarithm of the probability of each pixel's class, (N, H, W)."""
    return batch.log_probability.gather(1, batch.target.unsqueeze(1)).squeeze(1)


def _cross_entropy(batch: _Judged) -> Tensor:
    return batch.mean_of_pixels(-_log_of_truth(batch))


def _focal(batch: _Judged) -> Tensor:
    log_truth = _log_of_truth(batch)
    return batch.mean_of_pixels(-((1 - log_truth.exp()) ** GAMMA) * log_truth)


_LOSSES: Mapping[str, Callable[[_Judged], Tensor]] = {
    CE_DICE: lambda batch: _cross_entropy(batch) + dice(batch),
    "ce": _cross_entropy,
    "dice": dice,
    "focal": _focal,
    "tversky": tversky,
}


def _target_and_weight(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Class indices, 0 where they are ignored, and 1 where they count."""
    valid = masks != IGNORED
    return torch.where(valid, masks, 0).long(), valid.float()


def _truth(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    classes = torch.arange(probability.shape[1], device=target.device).view(1, -1, 1, 1)
    return (target.unsqueeze(1) == classes) * weight.unsqueeze(1)
