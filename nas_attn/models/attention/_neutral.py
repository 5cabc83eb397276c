"""The neutral start: a gate of mean 1 whose last layer starts at zero."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
_MARK = "starts_at_zero"


def from_zero(layer: M, neutral: bool = True) -> M:
    """The same layer, whose weights and biases start at 0 where the start is neutral.

    What such a layer answers is 0 for every input at step 0. Its own weights have a gradient then, and from the
    next step on what stands before it. ``draw_anew`` keeps to it.
    """
    if neutral:
        layer.__dict__[_MARK] = True
        _to_zero(layer)
    return layer


def starts_at_zero(layer: nn.Module) -> bool:
    """Whether ``from_zero`` has marked a layer."""
    return _MARK in layer.__dict__


def draw_anew(layer: nn.Module) -> None:
    """Give a layer's own parameters their start, drawn from the global random stream, or 0.

    Args:
        layer: has ``reset_parameters()``.
    """
    layer.reset_parameters()  # type: ignore[operator]
    if starts_at_zero(layer):
        _to_zero(layer)


def scaled(weights: Tensor, gain: float) -> Tensor:
    """gain * weights, without a step where the gain is 1."""
    return weights if gain == 1 else gain * weights


@torch.no_grad()
def _to_zero(layer: nn.Module) -> None:
    for parameter in layer.parameters(recurse=False):
        parameter.zero_()
