"""Batch normalisation that lets nothing through at the start."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ZeroStartNorm(nn.Module):
    """Batch normalisation whose scale starts at 0: a residual branch that ends in it adds nothing at first.

        y = BN(x) * weight + bias,  weight = bias = 0 at the start

    Args:
        channels: C.
    Shape: (N, C, H, W) -> (N, C, H, W); N * H * W must be at least 2 in training.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set scale, shift and running statistics back to their start."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)
        self.norm.reset_running_stats()

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = self.norm(x) * self.weight[:, None, None] + self.bias[:, None, None]
        return scaled.to(x.dtype)
