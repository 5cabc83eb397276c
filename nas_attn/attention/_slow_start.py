"""A convolution that begins with nothing and learns slowly."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

PACE = 0.1


class SlowStartConvolution(nn.Module):
    """A convolution that starts at zero and learns at a tenth of the learning rate: y = 0.1 (W * x + b).

    What decides where others look must not jump. An optimiser with normalised steps, such as Adam, moves the
    factor's product a tenth as fast as any other weight.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        kernel_size: side of the kernel, odd.
    Shape: (N, in_channels, H, W) -> (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all weights to 0."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return PACE * functional.conv2d(x, self.weight, self.bias, padding=self.weight.shape[-1] // 2)
