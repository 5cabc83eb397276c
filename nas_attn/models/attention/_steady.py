"""Layers before a rectifier whose units all stay active."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

FEW = 8
"""Number of inputs with which a layer learns at the full rate."""
AWAKE = 2.0
LEANING = 4.0


def share_of(inputs: int) -> float:
    """s: the power of two nearest to 8 / inputs, at most 1. Scaling by a power of two and back loses no bit."""
    return 2.0 ** -max(0, round(math.log2(inputs / FEW)))


class _Scaled(nn.Module):
    """Layer whose weights are W = s V, with parameters V. ``state_dict`` contains W; ``share`` is s."""

    share: float

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self.share * destination[f"{prefix}weight"]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        name = f"{prefix}weight"
        stored = {name: state_dict[name] / self.share} if name in state_dict else {}
        super()._load_from_state_dict({**state_dict, **stored}, prefix, *rest)


class SteadyLinear(_Scaled, nn.Linear):
    """Linear layer before a rectifier: all units are active at the start, and wider inputs learn more slowly.

        y = W x + b,  W = s V,  s = min(1, 8 / C) or the power of two next to it

    W is drawn as in ``nn.Linear``, b starts at 2, and an optimiser updates V. ``state_dict`` contains W, as for
    any linear layer, so saved weights mean the same with this layer and without it.

    Averages over a map hardly differ between images. A unit that starts below zero for one image is below zero for
    all of them, and so has no gradient. During training, an optimiser with normalised steps, such as Adam, moves
    every weight equally far, and the sum of C inputs above zero C times as far. With 512 channels, a few steps
    push units below zero for ever. The factor s compensates for this. The layer can represent every function that
    ``nn.Linear`` can.

    Without b, four times the mean of the inputs is added to each unit at the start. A unit that starts this far
    above zero stays active for some twenty steps at the recipe's highest rate, even if all of them lead downwards.

    Args:
        in_features: C.
        out_features: number of units.
        bias: whether the layer has b.
    Shape: (..., C) -> (..., units).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.share = share_of(in_features)
        super().__init__(in_features, out_features, bias=bias)

    def reset_parameters(self) -> None:
        """Draw W, and make all units active."""
        super().reset_parameters()
        wake(self.weight, self.bias, self.share)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.share * self.weight, self.bias)


class SteadyConv2d(_Scaled, nn.Conv2d):
    """``SteadyLinear`` as a convolution with bias that keeps the map's size; C counts the inputs of a unit.

    Args:
        channels: channels of the input.
        hidden: number of units.
        kernel_size: side of the kernel, odd.
        dilation: pixels between its taps.
    Shape: (N, channels, H, W) -> (N, hidden, H, W).
    """

    def __init__(self, channels: int, hidden: int, kernel_size: int = 1, dilation: int = 1) -> None:
        self.share = share_of(channels * kernel_size**2)
        self.reach = kernel_size // 2 * dilation
        super().__init__(channels, hidden, kernel_size, padding=self.reach, dilation=dilation)

    def reset_parameters(self) -> None:
        """Draw W, and make all units active."""
        super().reset_parameters()
        wake(self.weight, self.bias, self.share)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            x, self.share * self.weight, self.bias, padding=self.reach, dilation=self.dilation
        )


@torch.no_grad()
def wake(weight: Tensor, bias: Tensor | None, share: float) -> None:
    """Make all units active for inputs above zero, then turn W into the stored V.

    Args:
        weight: W as drawn, (units, C, ...).
        bias: (units,), or None if the layer has none.
        share: s.
    """
    if bias is None:
        weight.add_(LEANING / weight.shape[1])
    else:
        bias.fill_(AWAKE)
    weight.div_(share)
