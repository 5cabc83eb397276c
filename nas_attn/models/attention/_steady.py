"""Layers in front of a rectifier, none of whose units fall asleep."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

FEW = 8
"""Inputs with which a layer learns at the full rate."""
AWAKE = 2.0
LEANING = 4.0


def share_of(inputs: int) -> float:
    """s: the power of two next to 8 / inputs, at most 1; so scaling by it and back loses no bit."""
    return 2.0 ** -max(0, round(math.log2(inputs / FEW)))


class _Scaled(nn.Module):
    """A layer whose weights W are s times its parameters V, and stand as W in ``state_dict``; ``share`` is s."""

    share: float

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self.share * destination[f"{prefix}weight"]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        name = f"{prefix}weight"
        stored = {name: state_dict[name] / self.share} if name in state_dict else {}
        super()._load_from_state_dict({**state_dict, **stored}, prefix, *rest)


class SteadyLinear(_Scaled, nn.Linear):
    """A linear layer before a rectifier: all units fire at the start, and it learns as slowly as it is wide.

        y = W x + b,  W = s V,  s = min(1, 8 / C) or the power of two next to it

    W is drawn as that of ``nn.Linear``, b = 2, and an optimiser moves V. In ``state_dict`` is W, as that of any
    linear layer, so that weights mean the same with this layer and without it.

    What is averaged over a map hardly differs between images. A unit that starts below zero for one of them is
    below zero for all, and so has no gradient. In training, an optimiser with normalised steps, such as Adam,
    moves every weight equally far, and the sum of C inputs above zero C times as far: with 512 channels a few
    steps carry units below zero for ever. The factor takes that back; all that ``nn.Linear`` can be, this can be.
    Without b, four times the mean of the inputs is added to each unit at the start. So far above zero a unit
    outlives some twenty steps at the recipe's highest rate, even if all lead downwards.

    Args:
        in_features: C.
        out_features: units.
        bias: whether there is b.
    Shape: (..., C) -> (..., units).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.share = share_of(in_features)
        super().__init__(in_features, out_features, bias=bias)

    def reset_parameters(self) -> None:
        """Draw W, and wake all units."""
        super().reset_parameters()
        wake(self.weight, self.bias, self.share)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.share * self.weight, self.bias)


class SteadyConv2d(_Scaled, nn.Conv2d):
    """The same as a convolution with bias that keeps the size of the map; C is the number of inputs of a unit.

    Args:
        channels: of the input.
        hidden: units.
        kernel_size: side of the kernel, odd.
        dilation: pixels between its taps.
    Shape: (N, channels, H, W) -> (N, hidden, H, W).
    """

    def __init__(self, channels: int, hidden: int, kernel_size: int = 1, dilation: int = 1) -> None:
        self.share = share_of(channels * kernel_size**2)
        self.reach = kernel_size // 2 * dilation
        super().__init__(channels, hidden, kernel_size, padding=self.reach, dilation=dilation)

    def reset_parameters(self) -> None:
        """Draw W, and wake all units."""
        super().reset_parameters()
        wake(self.weight, self.bias, self.share)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            x, self.share * self.weight, self.bias, padding=self.reach, dilation=self.dilation
        )


@torch.no_grad()
def wake(weight: Tensor, bias: Tensor | None, share: float) -> None:
    """Let all units fire for inputs above zero, then write the weights as they are stored.

    Args:
        weight: as drawn, (units, C, ...).
        bias: (units,); None where there is none.
        share: s.
    """
    if bias is None:
        weight.add_(LEANING / weight.shape[1])
    else:
        bias.fill_(AWAKE)
    weight.div_(share)
