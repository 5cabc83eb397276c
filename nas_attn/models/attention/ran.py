"""Residual attention."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._pooled_norm import PooledNorm
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import BLOCK_STAGES, AttentionKind, Family, Option

KIND = AttentionKind(
    name="ran",
    title="residual attention",
    paper="Wang et al. 2017, arXiv:1704.06904",
    family=Family.BLOCK,
    stages=BLOCK_STAGES,
    options=(
        Option("depth", 2, "halvings of the mask branch", minimum=1, maximum=4),
        Option("align_corners", False, "align_corners of the resizing, as in torch"),
    ),
)


@attention(KIND)
class ResidualAttention(nn.Module):
    """Weigh the output of a block by a mask from a small hourglass beside it (Wang et al. 2017, arXiv:1704.06904,
    eq. 1-3).

        y = (1 + M(x)) T(x)

    T, the trunk, is the block of the U-Net: the paper leaves its layers open. M is the paper's soft mask with one
    residual unit between two poolings (r = 1); ``SoftMask`` has its layers. A block changes the number of
    channels, so a 1x1 convolution first brings x to those of the block's output.

    Args:
        channels: C of the block's output.
        block_channels: Cb of the block's input.
        depth: number of halvings in the mask; the paper has 3 at 56x56, 2 at 28x28 and 1 at 14x14.
        align_corners: as in torch, for each bilinear interpolation.
    Shape: (N, Cb, H, W) and a function of it -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` or ``block_channels`` is below 1, or ``depth`` is not from 1 to 4.
    """

    def __init__(self, channels: int, block_channels: int, depth: int = 2, align_corners: bool = False) -> None:
        super().__init__()
        self.enter = nn.Conv2d(block_channels, channels, 1, bias=False)
        self.mask = SoftMask(channels, depth, align_corners)

    def forward(self, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        trunk = block(x)
        mask: Tensor = self.mask(self.enter(x))
        return trunk + trunk * mask.to(trunk.dtype)


class SoftMask(nn.Module):
    """Hourglass that ends in two 1x1 convolutions and a sigmoid (Wang et al. 2017, fig. 2).

    Args:
        channels: C.
        depth: number of halvings.
        align_corners: as in torch, for its interpolations.
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, depth: int, align_corners: bool) -> None:
        super().__init__()
        self.hourglass = Hourglass(channels, depth, align_corners)
        self.end = nn.Sequential(*_convolution(channels, channels), *_convolution(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        asked: Tensor = self.end(self.hourglass(x))
        return asked.sigmoid()


class Hourglass(nn.Module):
    """Residual units around a smaller hourglass, at half the resolution.

    In order: max pooling, a residual unit, the sum of the next smaller hourglass and a residual unit beside it, a
    residual unit, interpolation. Pooling takes the maximum of 3x3 with stride 2 and rounds up, so a map of one
    position passes.

    Args:
        channels: C.
        depth: number of halvings; 1 has no smaller hourglass.
        align_corners: as in torch, for its interpolation and those of smaller hourglasses.
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, depth: int, align_corners: bool) -> None:
        super().__init__()
        self.down = ResidualUnit(channels)
        smaller = [Hourglass(channels, depth - 1, align_corners), ResidualUnit(channels)] if depth > 1 else []
        self.inside = nn.ModuleList(smaller)
        self.align_corners = align_corners
        self.up = ResidualUnit(channels)

    def forward(self, x: Tensor) -> Tensor:
        small = self.down(functional.max_pool2d(x, 3, stride=2, padding=1))
        small = sum((part(small) for part in self.inside[1:]), self.inside[0](small)) if self.inside else small
        up, size = self.up(small), x.shape[2:]
        return functional.interpolate(up, size=size, mode="bilinear", align_corners=self.align_corners)


class ResidualUnit(nn.Module):
    """x plus 1x1, 3x3 and 1x1 convolutions, each after normalisation and relu (He et al. 2016, arXiv:1603.05027).

    Args:
        channels: C; the hidden width is max(1, C // 4).
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(1, channels // 4)
        self.branch = nn.Sequential(
            *_convolution(channels, hidden), *_convolution(hidden, hidden, 3), *_convolution(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.branch(x)
        return added


def _convolution(entering: int, leaving: int, side: int = 1) -> list[nn.Module]:
    """Normalisation, relu and convolution; running statistics normalise one position of one image."""
    convolution = nn.Conv2d(entering, leaving, side, padding=side // 2, bias=False)
    return [PooledNorm(entering), nn.ReLU(), convolution]
