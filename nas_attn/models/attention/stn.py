"""Spatial transformer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nas_attn.models.attention._equalised import EqualisedLinear
from nas_attn.models.attention._layout import in_layout_of
from nas_attn.models.attention._precise import precise
from nas_attn.models.attention._registry import attention
from nas_attn.models.attention._sample import sample
from nas_attn.models.kind import BLOCK_STAGES, AttentionKind, Family

VIEW_CHANNELS = 16
VIEW_SIDE = 8
HIDDEN = 32

KIND = AttentionKind(
    name="stn",
    title="spatial transformer, there and back",
    paper="Jaderberg et al. 2015, arXiv:1506.02025",
    family=Family.BLOCK,
    stages=BLOCK_STAGES,
    starts_as_identity=True,
)


@attention(KIND)
class SpatialTransformer(nn.Module):
    """Warp the map into a predicted pose, run the block, and warp the result back (Jaderberg et al. 2015,
    arXiv:1506.02025, section 3).

        y = T_inverse(theta)(block(T_theta(x))),  T_theta(x)(p) = x(A p + t),  theta = loc(x)

    The paper does not warp back, because its task has one label per image. The labels and skips of a U-Net belong
    to pixels, so the inverse, (A^-1, -A^-1 t), warps the result back. Pixels beyond the map have the values of its
    border. Two interpolations blur everything that moves; at the start they return x to within a few millionths.

    loc is a 1x1 convolution to 16 channels, an average over 8x8 parts of the map, and two layers with equalised
    learning rates. With the learning rate of a network's convolutions, the 1,024 inputs of the first layer would
    move it so far in a step that its rectifiers die and all images get the same pose. The last layer starts at
    zero, the identity, and learns at a tenth of the learning rate.

    theta is a scale of each axis between a half and 2, a shear of up to a half, a rotation, and a shift of up to a
    quarter of the longer side. So A always has an inverse.

    Args:
        channels: C of the block's output.
        block_channels: Cb of the block's input.
    Shape: (N, Cb, H, W) and a function of it -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` or ``block_channels`` is below 1.
    """

    def __init__(self, channels: int, block_channels: int) -> None:
        super().__init__()
        self.locate = nn.Sequential(
            nn.Conv2d(block_channels, VIEW_CHANNELS, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(VIEW_SIDE),
            nn.Flatten(),
            EqualisedLinear(VIEW_CHANNELS * VIEW_SIDE**2, HIDDEN, gain=math.sqrt(2)),
            nn.ReLU(),
            EqualisedLinear(HIDDEN, 6, gain=0.5, from_zero=True),
        )

    def forward(self, x: Tensor, block: Callable[[Tensor], Tensor]) -> Tensor:
        pose = self.pose(x)
        return pose.inverse().warp(block(pose.warp(x)))

    def pose(self, x: Tensor) -> Pose:
        """The pose into which each image is warped."""
        return Pose.of(precise(self.locate(x)))


class Pose(NamedTuple):
    """An affine map of positions, p -> A p + t.

    Positions are (column, row) from the centre of the map, in halves of its longer side, so that a rotation stays
    a rotation on a map of any shape.

    Args:
        matrix: A, one for each image.
        shift: t.
    Shape: (N, 2, 2), (N, 2).
    """

    matrix: Tensor
    shift: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> Pose:
        """A pose with an inverse, from any six numbers; zeros give the identity.

            A = R(n_3) [[2^tanh(n_1), tanh(n_4) / 2], [0, 2^tanh(n_2)]],  t = tanh(n_5, n_6) / 2

        Shape: (N, 6).
        """
        scale = (math.log(2) * numbers[:, :2].tanh()).exp()
        cos, sin, shear = numbers[:, 2].cos(), numbers[:, 2].sin(), numbers[:, 3].tanh() / 2
        rotation = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
        stretch = torch.stack([scale[:, 0], shear, torch.zeros_like(shear), scale[:, 1]], 1).view(-1, 2, 2)
        return cls(_product(rotation, stretch), numbers[:, 4:].tanh() / 2)

    def inverse(self) -> Pose:
        """The pose that undoes this one, in closed form."""
        (a, b), (c, d) = (row.unbind(1) for row in self.matrix.unbind(1))
        adjugate = torch.stack([d, -b, -c, a], 1).view(-1, 2, 2)
        matrix = adjugate / (a * d - b * c).view(-1, 1, 1)
        return Pose(matrix, -_product(matrix, self.shift[:, :, None])[:, :, 0])

    def warp(self, x: Tensor) -> Tensor:
        """Values of the map at A p + t, for each of its positions p."""
        height, width = x.shape[2:]
        # Twice the coordinates, so that a graph for any size contains whole numbers only.
        rows = (2 * torch.arange(height, device=x.device) - (height - 1)).to(self.matrix)[None, :, None]
        columns = (2 * torch.arange(width, device=x.device) - (width - 1)).to(self.matrix)[None, None, :]
        matrix, shift = self.matrix[:, :, :, None, None], max(height, width) * self.shift[:, :, None, None]
        seen_columns = matrix[:, 0, 0] * columns + matrix[:, 0, 1] * rows + shift[:, 0] + (width - 1)
        seen_rows = matrix[:, 1, 0] * columns + matrix[:, 1, 1] * rows + shift[:, 1] + (height - 1)
        return in_layout_of(x, sample(x, seen_rows / 2, seen_columns / 2, "border").to(x.dtype))


def _product(one: Tensor, other: Tensor) -> Tensor:
    """Product of small matrices, in the precision of its factors."""
    return (one[:, :, :, None] * other[:, None]).sum(2)
