"""From one level to the next finer one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def up_layer(upsampling: str, in_channels: int, out_channels: int) -> nn.Module:
    """The layer that doubles H and W, exactly to the size that its second argument, the skip, has.

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

    The convolution goes first: the two commute (the weights of an interpolation add up to 1, so even the bias
    passes), and on the coarse map it costs a quarter.

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
