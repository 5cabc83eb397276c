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
    """Turn the map into a pose of its own choice, run the block, and turn the result back (Jaderberg et al.
    2015, arXiv:1506.02025, section 3).

        y = T_inverse(theta)(block(T_theta(x))),  T_theta(x)(p) = x(A p + t),  theta = loc(x)

    The paper warps and does not turn back: its task has one label per image. Labels and skips of a U-Net belong
    to pixels, so the result is warped back by the inverse, (A^-1, -A^-1 t). loc is a 1x1 convolution to 16
    channels, an average over 8x8 parts of the map and two layers, whose learning rates are equalised: with that
    of a network's convolutions, the 1,024 inputs of the first would move it so far in a step that its rectifiers
    die, and all images are given one pose. The last starts at zero, the identity, and learns at a tenth of the
    learning rate. theta is a scale of each axis between a half and 2, a shear up to a half, a rotation and a shift
    up to half the map, so that A always has an inverse. Beyond the map stands its
    border. Two interpolations blur whatever is not at rest; at the start they give x back to a few millionths.

    Args:
        channels: C of the block's output.
        block_channels: Cb of its input.
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
        """The pose that each image is brought into."""
        return Pose.of(precise(self.locate(x)))


class Pose(NamedTuple):
    """An affine map of positions, p -> A p + t.

    Positions are (column, row) from the centre of the map, in halves of its longer side, so that a rotation is
    one on a map of any shape.

    Args:
        matrix: A, one for each image.
        shift: t.
    Shape: (N, 2, 2), (N, 2).
    """

    matrix: Tensor
    shift: Tensor

    @classmethod
    def of(cls, numbers: Tensor) -> Pose:
        """Any six numbers as a pose that can be turned back; zeros are the identity.

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
        """What the map shows at A p + t, for each of its positions p."""
        height, width = x.shape[2:]
        # Twice what is meant, so that a graph for any size holds whole numbers only.
        rows = (2 * torch.arange(height, device=x.device) - (height - 1)).to(self.matrix)[None, :, None]
        columns = (2 * torch.arange(width, device=x.device) - (width - 1)).to(self.matrix)[None, None, :]
        matrix, shift = self.matrix[:, :, :, None, None], max(height, width) * self.shift[:, :, None, None]
        seen_columns = matrix[:, 0, 0] * columns + matrix[:, 0, 1] * rows + shift[:, 0] + (width - 1)
        seen_rows = matrix[:, 1, 0] * columns + matrix[:, 1, 1] * rows + shift[:, 1] + (height - 1)
        return in_layout_of(x, sample(x, seen_rows / 2, seen_columns / 2, "border").to(x.dtype))


def _product(one: Tensor, other: Tensor) -> Tensor:
    """A matrix product of small matrices, in the precision of its factors."""
    return (one[:, :, :, None] * other[:, None]).sum(2)
