"""Normalisation layers by name."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MAX_GROUPS = 8


def norm_layer(norm: str, channels: int) -> nn.Module:
    """The layer that normalises a (N, C, H, W) map, with a learned scale and shift per channel.

    Args:
        norm: ``batch`` (Ioffe and Szegedy 2015, arXiv:1502.03167), ``group`` (Wu and He 2018, arXiv:1803.08494;
            as many groups as divide C, at most 8) or ``instance`` (Ulyanov et al. 2016, arXiv:1607.08022).
        channels: C.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return GroupNorm(channels, groups=channels if norm == "instance" else _groups(channels))


def _groups(channels: int) -> int:
    return max(groups for groups in range(1, MAX_GROUPS + 1) if channels % groups == 0)


class GroupNorm(nn.Module):
    """Normalise each group of channels of each image: y = (x - mean) / sqrt(variance + 1e-5) * weight + bias.

    One group per channel is instance normalisation. ``torch.nn``'s own layers compute the same but refuse a group
    of a single value, as the bottleneck of a smallest image has; normalised it is 0.

    Args:
        channels: C.
        groups: a divisor of C.
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start without scale and shift."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.groups, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.weight.numel()}, groups={self.groups}"
