"""The losses of classes that may overlap: each class is judged by a sigmoid of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from nas_attn.losses import BCE_DICE
from nas_attn.training.loss_terms import GAMMA, dice, tversky
from nas_attn.training.metrics import IGNORED


@dataclass(frozen=True, eq=False)
class JudgedPlanes:
    """A batch as these losses look at it, in float32.

    Args:
        scores: of each class, whose sigmoid is its probability.
        truth: 1 where a class is, else 0.
        labelled: 1 where a pixel counts, 0 where it is ignored.
        weights: of each class; None where all count alike.
        least: of the weights; no sum of the weights that occur is below it.
    Shape: scores and truth (N, K, H, W), labelled (N, 1, H, W), weights (K,).
    """

    scores: Tensor
    truth: Tensor
    labelled: Tensor
    weights: Tensor | None = None
    least: float = 1.0

    @classmethod
    def of(cls, logits: Tensor, masks: Tensor, weights: Tensor | None = None, least: float = 1.0) -> JudgedPlanes:
        """Look at a batch.

        Args:
            logits: unnormalised scores.
            masks: of each class 1 where it is, 0 where it is not, 255 where ignored.
            weights: of each class.
            least: of these.
        Shape: (N, K, H, W), (N, K, H, W).
        """
        return cls(logits.float(), (masks == 1).float(), (masks[:, :1] != IGNORED).float(), weights, least)

    def mean_of_pixels(self, values: Tensor) -> Tensor:
        """Over the labelled pixels and all classes, each with its weight; 0 where no pixel is labelled."""
        weight = self.labelled if self.weights is None else self.labelled * self.weights.view(1, -1, 1, 1)
        return (values * weight).sum() / weight.expand_as(values).sum().clamp(min=self.least)

    def overlaps(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of each class what is predicted and true, what is predicted, and what is true, in pixels, (K,) each."""
        probability = self.scores.sigmoid() * self.labelled
        return (probability * self.truth).sum((0, 2, 3)), probability.sum((0, 2, 3)), self.truth.sum((0, 2, 3))


def _entropies(batch: JudgedPlanes) -> Tensor:
    """-log of the probability of what is true of each class and pixel, (N, K, H, W)."""
    return F.binary_cross_entropy_with_logits(batch.scores, batch.truth, reduction="none")


def _bce(batch: JudgedPlanes) -> Tensor:
    return batch.mean_of_pixels(_entropies(batch))


def _focal(batch: JudgedPlanes) -> Tensor:
    entropies = _entropies(batch)
    return batch.mean_of_pixels((1 - (-entropies).exp()) ** GAMMA * entropies)


OVERLAP_LOSSES: Mapping[str, Callable[[JudgedPlanes], Tensor]] = {
    BCE_DICE: lambda batch: _bce(batch) + dice(batch),
    "bce": _bce,
    "dice": dice,
    "focal": _focal,
    "tversky": tversky,
}
