"""Layers of the U-Net: upsampling to the next finer level, the two convolutions of a level, and normalisation by
name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.errors import NetworkError


def up_layer(upsampling: str, in_channels: int, out_channels: int) -> nn.Module:
    """A layer that doubles H and W, to exactly the size of its second argument, the skip.

    Args:
        upsampling: ``transpose`` or ``bilinear``.
        in_channels: C of the coarse map.
        out_channels: C of the fine map.
    """
    if upsampling == "transpose":
        return TransposeUp(in_channels, out_channels)
    return BilinearUp(in_channels, out_channels)


class TransposeUp(nn.Module):
    """A 2x2 transposed convolution of stride 2; an odd last row or column repeats its neighbour.

    Args:
        in_channels: C of the coarse map.
        out_channels: C of the fine map.
    Shape: (N, in_channels, H // 2, W // 2), skip (N, any, H, W) -> (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        fine: Tensor = self.conv(x)
        for dim in (-2, -1):
            # Not functional.pad(mode="replicate"): its gradient is not repeatable on a GPU.
            if skip.shape[dim] > fine.shape[dim]:
                fine = torch.cat([fine, fine.narrow(dim, fine.shape[dim] - 1, 1)], dim)
        return fine


class BilinearUp(nn.Module):
    """Bilinear interpolation and a 1x1 convolution.

    The convolution goes first, because on the coarse map it costs a quarter. The two commute: the weights of an
    interpolation add up to 1, so this holds even for the bias.

    Args:
        in_channels: C of the coarse map.
        out_channels: C of the fine map.
    Shape: (N, in_channels, H // 2, W // 2), skip (N, any, H, W) -> (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return functional.interpolate(self.conv(x), size=skip.shape[-2:], mode="bilinear", align_corners=False)


class Block(nn.Module):
    """Twice a 3x3 convolution, normalisation and ReLU (Ronneberger et al. 2015, arXiv:1505.04597, fig. 1).

    It departs from the paper in two ways that are usual today: the convolutions pad, so that H and W stay the
    same, and they are normalised, so they need no bias.

    Args:
        in_channels: C of the input.
        out_channels: C of the output, and between the two.
        norm: ``batch``, ``group`` or ``instance``.
        replaced: whether the second convolution is left out; ``forward`` then takes its replacement.
    Shape: (N, in_channels, H, W) -> (N, out_channels, H, W).
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm: str = "batch", *, replaced: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm1 = norm_layer(norm, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False) if not replaced else None
        self.norm2 = norm_layer(norm, out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, convolution: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Apply the block; ``convolution`` replaces the second one of its own."""
        second = convolution or self.conv2
        if second is None:
            raise NetworkError("the block's second convolution was removed, and nothing replaces it")
        x = self.relu(self.norm1(self.conv1(x)))
        activated: Tensor = self.relu(self.norm2(second(x)))
        return activated


MAX_GROUPS = 8


def norm_layer(norm: str, channels: int) -> nn.Module:
    """A layer that normalises a (N, C, H, W) map, with a learned scale and shift per channel.

    Args:
        norm: ``batch`` (Ioffe and Szegedy 2015, arXiv:1502.03167), ``group`` (Wu and He 2018, arXiv:1803.08494;
            the largest number of groups up to 8 that divides C) or ``instance`` (Ulyanov et al. 2016,
            arXiv:1607.08022).
        channels: C.
    """
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return GroupNorm(channels, groups=channels if norm == "instance" else _groups(channels))


def _groups(channels: int) -> int:
    return max(groups for groups in range(1, MAX_GROUPS + 1) if channels % groups == 0)


class GroupNorm(nn.Module):
    """Normalise each group of channels of each image: y = (x - mean) / sqrt(variance + 1e-5) * weight + bias.

    One group per channel is instance normalisation. The layers of ``torch.nn`` compute the same, but refuse a
    group of a single value, as in the bottleneck of a very small image. Here its normalised value is 0.

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
        """Initialise as the identity: scale 1, shift 0."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.groups, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.weight.numel()}, groups={self.groups}"
