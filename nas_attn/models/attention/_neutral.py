"""The neutral start: a gate of mean 1 whose last layer starts at zero."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
_MARK = "starts_at_zero"


def from_zero(layer: M, neutral: bool = True) -> M:
    """The same layer; with ``neutral``, its weights and biases start at 0.

    The layer then outputs 0 for every input at step 0. Its own weights have a gradient at once, the layers before
    it from the next step on. ``draw_anew`` sets a marked layer to 0 again.
    """
    if neutral:
        layer.__dict__[_MARK] = True
        _to_zero(layer)
    return layer


def starts_at_zero(layer: nn.Module) -> bool:
    """Whether ``from_zero`` has marked a layer."""
    return _MARK in layer.__dict__


def draw_anew(layer: nn.Module) -> None:
    """Reset a layer's own parameters: drawn from the global random stream, or 0 if ``from_zero`` marked the layer.

    Args:
        layer: a layer with ``reset_parameters()``.
    """
    layer.reset_parameters()  # type: ignore[operator]
    if starts_at_zero(layer):
        _to_zero(layer)


def scaled(weights: Tensor, gain: float) -> Tensor:
    """gain * weights, without a multiplication if the gain is 1."""
    return weights if gain == 1 else gain * weights


@torch.no_grad()
def _to_zero(layer: nn.Module) -> None:
    for parameter in layer.parameters(recurse=False):
        parameter.zero_()
