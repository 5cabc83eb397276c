"""The losses of a training. The default is cross-entropy plus soft Dice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_attn.data.dataset import IGNORED
from nas_attn.losses import BCE_DICE, CE_DICE
from nas_attn.training.overlap import planes
from nas_attn.training.recipe import Recipe

_SMOOTH = 1.0
_GAMMA = 2.0
_ALPHA, _BETA = 0.3, 0.7


class Loss(Protocol):
    """The loss of a batch."""

    def __call__(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Shape: (N, K, H, W) unnormalised scores, (N, H, W) classes, 255 is ignored -> ()."""


def build_loss(
    name: str, class_weights: Sequence[float], device: torch.device, *, multi_label: bool = False
) -> Loss:
    """The named loss, in a form that a CUDA graph can record.

    Its tensors are already on the device, and no control flow depends on values.

    ==========  ================================================================================================
    ce+dice     the sum of the next two (as nnU-Net, Isensee et al. 2021, doi:10.1038/s41592-020-01008-z)
    ce          cross-entropy, averaged over the labelled pixels of the batch
    dice        soft Dice loss (Milletari et al. 2016, arXiv:1606.04797, with plain sums)
    focal       (1 - p)^2 times the cross-entropy -log p of each pixel (Lin et al. 2017, arXiv:1708.02002, eq. 5,
                over the classes of a softmax)
    tversky     1 - TP / (TP + 0.3 FP + 0.7 FN) (Salehi et al. 2017, arXiv:1706.05721, eq. 4 with their best
                alpha and beta): a missed pixel costs more than a false one
    ==========  ================================================================================================

    If classes may overlap, each class is judged by the sigmoid of its score. ``bce`` then replaces ``ce``: the
    binary cross-entropy, averaged over the labelled pixels and all classes. Focal is then the paper's eq. 5.

    Dice and Tversky are computed for each class over the whole batch and averaged over the classes that occur in
    it. Class weights multiply the pixels of a class in ce and focal, and its term in dice and tversky. Every mean
    is divided by the sum of its weights, so only their ratios matter.

    Args:
        name: one of ``LOSSES``.
        class_weights: of each class, above 0; empty if all classes count alike.
        device: of the batches.
        multi_label: whether masks are sets of classes that may overlap.
    """
    weights = torch.tensor(class_weights, dtype=torch.float32, device=device) if class_weights else None
    least = min(class_weights, default=1.0)
    judged: type[_Overlapping | _Exclusive] = _Overlapping if multi_label else _Exclusive

    def loss(logits: Tensor, masks: Tensor) -> Tensor:
        return _LOSSES[name](judged(logits, masks, weights, least))

    return loss


def loss_of(recipe: Recipe, device: torch.device) -> Loss:
    """The loss that a recipe names."""
    return build_loss(recipe.loss, recipe.class_weights, device, multi_label=recipe.multi_label)


def segmentation_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice loss (Milletari et al. 2016, arXiv:1606.04797, with plain sums), in float32.

    Dice is computed for each class over the whole batch and averaged over the classes that occur in the batch. So
    a class that is absent from a small batch neither lowers nor raises the loss.

    Args:
        logits: unnormalised scores.
        masks: class indices; 255 is ignored.
    Shape: (N, K, H, W), (N, H, W) -> ().
        A batch in which every pixel is ignored has the loss 0.
    """
    return _LOSSES[CE_DICE](_Exclusive(logits, masks))


class _Judged(ABC):
    """The quantities of a batch that the losses need, in float32.

    Args:
        weights: of each class, (K,); None if all classes count alike.
        least: the smallest weight; a sum of weights is at least this unless it is 0.
    """

    def __init__(self, weights: Tensor | None, least: float) -> None:
        self.weights, self.least = weights, least

    @abstractmethod
    def surprisals(self) -> tuple[Tensor, Tensor]:
        """-log of the probability of each pixel's true class, and the weight of the pixel; 0 if it is ignored.

        Shape: (N, H, W) both, or (N, K, H, W) if each class is judged by itself.
        """

    @abstractmethod
    def overlaps(self) -> tuple[Tensor, Tensor, Tensor]:
        """For each class the true positives, predicted pixels and true pixels, (K,) each."""


class _Exclusive(_Judged):
    """One class per pixel, by a softmax: scores (N, K, H, W) and classes (N, H, W)."""

    def __init__(self, logits: Tensor, masks: Tensor, weights: Tensor | None = None, least: float = 1.0) -> None:
        super().__init__(weights, least)
        self.log_probability = F.log_softmax(logits.float(), dim=1)
        self.target, self.labelled = _target_and_weight(masks)

    def surprisals(self) -> tuple[Tensor, Tensor]:
        log_of_truth = self.log_probability.gather(1, self.target.unsqueeze(1)).squeeze(1)
        weight = self.labelled if self.weights is None else self.labelled * self.weights[self.target]
        return -log_of_truth, weight

    def overlaps(self) -> tuple[Tensor, Tensor, Tensor]:
        probability = self.log_probability.exp()
        truth = _truth(probability, self.target, self.labelled)
        predicted = (probability * self.labelled.unsqueeze(1)).sum((0, 2, 3))
        return (probability * truth).sum((0, 2, 3)), predicted, truth.sum((0, 2, 3))


class _Overlapping(_Judged):
    """Each class by its own sigmoid: scores (N, K, H, W) and sets of classes (N, H, W)."""

    def __init__(self, logits: Tensor, masks: Tensor, weights: Tensor | None = None, least: float = 1.0) -> None:
        super().__init__(weights, least)
        found = planes(masks, logits.shape[1])
        self.scores = logits.float()
        self.truth, self.labelled = (found == 1).float(), (found[:, :1] != IGNORED).float()

    def surprisals(self) -> tuple[Tensor, Tensor]:
        entropies = F.binary_cross_entropy_with_logits(self.scores, self.truth, reduction="none")
        weight = self.labelled if self.weights is None else self.labelled * self.weights.view(1, -1, 1, 1)
        return entropies, weight.expand_as(entropies)

    def overlaps(self) -> tuple[Tensor, Tensor, Tensor]:
        probability = self.scores.sigmoid() * self.labelled
        return (probability * self.truth).sum((0, 2, 3)), probability.sum((0, 2, 3)), self.truth.sum((0, 2, 3))


def _cross_entropy(batch: _Judged) -> Tensor:
    return _mean(*batch.surprisals(), batch)


def _focal(batch: _Judged) -> Tensor:
    surprisals, weight = batch.surprisals()
    return _mean((1 - (-surprisals).exp()) ** _GAMMA * surprisals, weight, batch)


def _dice(batch: _Judged) -> Tensor:
    """1 minus the soft Dice, averaged over the classes that occur."""
    overlap, predicted, true = batch.overlaps()
    return _mean_of_classes(1 - (2 * overlap + _SMOOTH) / (predicted + true + _SMOOTH), true, batch)


def _tversky(batch: _Judged) -> Tensor:
    """1 minus the Tversky index, averaged in the same way; alpha = beta = 1/2 gives Dice."""
    overlap, predicted, true = batch.overlaps()
    wrong = _ALPHA * (predicted - overlap) + _BETA * (true - overlap)
    return _mean_of_classes(1 - (overlap + _SMOOTH / 2) / (overlap + wrong + _SMOOTH / 2), true, batch)


def _mean_of_classes(values: Tensor, size: Tensor, batch: _Judged) -> Tensor:
    """Weighted mean over the classes that occur: (K,), (K,) -> ()."""
    return _mean(values, (size > 0).float() if batch.weights is None else (size > 0) * batch.weights, batch)


def _mean(values: Tensor, weight: Tensor, batch: _Judged) -> Tensor:
    """Weighted mean of values; 0 if all weights are 0."""
    return (values * weight).sum() / weight.sum().clamp(min=batch.least)


_LOSSES: Mapping[str, Callable[[_Judged], Tensor]] = {
    CE_DICE: lambda batch: _cross_entropy(batch) + _dice(batch),
    BCE_DICE: lambda batch: _cross_entropy(batch) + _dice(batch),
    "ce": _cross_entropy,
    "bce": _cross_entropy,
    "dice": _dice,
    "focal": _focal,
    "tversky": _tversky,
}
"""All losses; ``nas_attn.losses`` says which of them suit which masks."""


def image_scores(logits: Tensor, masks: Tensor) -> Tensor:
    """The soft Dice of each image, averaged over the classes that occur in it; 0 if every pixel is ignored.

    Args:
        logits: unnormalised scores.
        masks: class indices; or, if classes may overlap, 0 and 1 for each class; 255 is ignored.
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
    of_class = (2 * (probability * truth).sum((2, 3)) + _SMOOTH) / (size + _SMOOTH)
    present = (truth.sum((2, 3)) > 0).float()
    return (of_class * present).sum(1) / present.sum(1).clamp(min=1)


def _target_and_weight(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Class indices, with 0 for ignored pixels, and weights: 1 for labelled pixels, 0 for ignored ones."""
    valid = masks != IGNORED
    return torch.where(valid, masks, 0).long(), valid.float()


def _truth(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    classes = torch.arange(probability.shape[1], device=target.device).view(1, -1, 1, 1)
    return (target.unsqueeze(1) == classes) * weight.unsqueeze(1)
