"""The loss of every run: cross-entropy plus soft Dice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nas_attn.training.metrics import IGNORED

_SMOOTH = 1.0


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
    logits = logits.float()
    target, weight = _target_and_weight(masks)
    log_probability = F.log_softmax(logits, dim=1)
    picked = log_probability.gather(1, target.unsqueeze(1)).squeeze(1)
    cross_entropy = -(picked * weight).sum() / weight.sum().clamp(min=1)
    return cross_entropy + _dice_loss(log_probability.exp(), target, weight)


def image_scores(logits: Tensor, masks: Tensor) -> Tensor:
    """The soft Dice of each image, averaged over the classes that occur in it; 0 where every pixel is ignored.

    Shape: (N, K, H, W), (N, H, W) -> (N,), from 0 to 1.
    """
    target, weight = _target_and_weight(masks)
    probability = logits.float().softmax(1) * weight.unsqueeze(1)
    truth = _truth(probability, target, weight)
    size = (probability + truth).sum((2, 3))
    dice = (2 * (probability * truth).sum((2, 3)) + _SMOOTH) / (size + _SMOOTH)
    present = (truth.sum((2, 3)) > 0).float()
    return (dice * present).sum(1) / present.sum(1).clamp(min=1)


def _target_and_weight(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Class indices, 0 where they are ignored, and 1 where they count."""
    valid = masks != IGNORED
    return torch.where(valid, masks, 0).long(), valid.float()


def _truth(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    classes = torch.arange(probability.shape[1], device=target.device).view(1, -1, 1, 1)
    return (target.unsqueeze(1) == classes) * weight.unsqueeze(1)


def _dice_loss(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    truth = _truth(probability, target, weight)
    truth_size = truth.sum((0, 2, 3))
    overlap = (probability * truth).sum((0, 2, 3))
    size = (probability * weight.unsqueeze(1)).sum((0, 2, 3)) + truth_size
    dice = (2 * overlap + _SMOOTH) / (size + _SMOOTH)
    present = (truth_size > 0).float()
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1)
