"""What the losses of both kinds of masks have in common: the terms of a class from its pixels."""

from __future__ import annotations

from torch import Tensor

SMOOTH = 1.0
GAMMA = 2.0
_ALPHA, _BETA = 0.3, 0.7


def dice_terms(overlap: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
    """1 less the soft Dice of each class.

    Args:
        overlap: what is predicted and true, in pixels.
        predicted: what is predicted.
        true: what is true.
    Shape: (K,) each -> (K,).
    """
    return 1 - (2 * overlap + SMOOTH) / (predicted + true + SMOOTH)


def tversky_terms(overlap: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
    """1 less the Tversky index of each class, smoothed like Dice, which it is where alpha and beta are 1/2.

    Shape: (K,) each -> (K,).
    """
    wrong = _ALPHA * (predicted - overlap) + _BETA * (true - overlap)
    return 1 - (overlap + SMOOTH / 2) / (overlap + wrong + SMOOTH / 2)
