"""What the losses of both kinds of masks have in common: what is judged class by class."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

SMOOTH = 1.0
GAMMA = 2.0
_ALPHA, _BETA = 0.3, 0.7


class ClassSums(Protocol):
    """A batch of either kind."""

    @property
    def weights(self) -> Tensor | None:
        """Of each class, (K,); None where all count alike."""

    @property
    def least(self) -> float:
        """Of the weights; no sum of the weights that occur is below it."""

    def overlaps(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of each class what is predicted and true, what is predicted, and what is true, in pixels, (K,) each."""


def dice(batch: ClassSums) -> Tensor:
    """1 less the soft Dice, averaged over the classes that occur."""
    overlap, predicted, true = batch.overlaps()
    return _mean_of_classes(batch, 1 - (2 * overlap + SMOOTH) / (predicted + true + SMOOTH), true)


def tversky(batch: ClassSums) -> Tensor:
    """1 less the Tversky index likewise, smoothed like Dice, which it is where alpha and beta are 1/2."""
    overlap, predicted, true = batch.overlaps()
    wrong = _ALPHA * (predicted - overlap) + _BETA * (true - overlap)
    return _mean_of_classes(batch, 1 - (overlap + SMOOTH / 2) / (overlap + wrong + SMOOTH / 2), true)


def _mean_of_classes(batch: ClassSums, values: Tensor, size: Tensor) -> Tensor:
    """Of the classes that occur, each with its weight; 0 where there is none.

    Shape: (K,), (K,) -> ().
    """
    weight = (size > 0).float() if batch.weights is None else (size > 0) * batch.weights
    return (values * weight).sum() / weight.sum().clamp(min=batch.least)
