"""Layers in front of a rectifier, none of whose units fall asleep."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

FEW = 8
"""Inputs with which a layer learns at the full rate."""
AWAKE = 1.0
LEANING = 2.0


class SteadyLinear(nn.Linear):
    """A linear layer before a rectifier: all units fire at the start, and it learns as slowly as it is wide.

        y = s W x + b,  s = min(1, 8 / C);  s W is drawn as that of ``nn.Linear``, b = 1

    What is averaged over a map hardly differs between images. A unit that starts below zero for one of them is
    below zero for all, and so has no gradient. In training, an optimiser with normalised steps, such as Adam,
    moves every weight equally far, and the sum of C inputs above zero C times as far: with 512 channels a few
    steps carry units below zero for ever. The factor takes that back; all that ``nn.Linear`` can be, this can be.
    Without b, twice the mean of the inputs is added to each unit at the start.

    Args:
        in_features: C.
        out_features: units.
        bias: whether there is b.
    Shape: (..., C) -> (..., units).
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.share = min(1.0, FEW / in_features)
        super().__init__(in_features, out_features, bias=bias)

    def reset_parameters(self) -> None:
        """Draw W, and wake all units."""
        super().reset_parameters()
        wake(self.weight, self.bias, self.share)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.share * self.weight, self.bias)


class SteadyConv2d(nn.Conv2d):
    """The same as a convolution with bias that keeps the size of the map; C is the number of inputs of a unit.

    Args:
        channels: of the input.
        hidden: units.
        kernel_size: side of the kernel, odd.
        dilation: pixels between its taps.
    Shape: (N, channels, H, W) -> (N, hidden, H, W).
    """

    def __init__(self, channels: int, hidden: int, kernel_size: int = 1, dilation: int = 1) -> None:
        self.share = min(1.0, FEW / (channels * kernel_size**2))
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
