"""Efficient channel attention."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Option

KIND = AttentionKind(
    name="eca",
    title="efficient channel attention",
    paper="Wang et al. 2020, arXiv:1910.03151",
    options=(
        Option(
            "kernel_size",
            "auto",
            "channels that one weight sees; auto grows with log2 of the channels",
            choices=("auto", 3, 5, 7, 9),
        ),
    ),
    neutral_start=True,
)


@attention(KIND)
class EfficientChannelAttention(nn.Module):
    """Reweight each channel by the averages of its neighbours (Wang et al. 2020, arXiv:1910.03151, section 3.2).

        y = x * sigmoid(conv1d_k(mean_HW(x)))          neutral: y = x * 2 sigmoid(...)

    One kernel without bias slides along the channel axis, which is padded with zeros.

    Args:
        channels: C of the input.
        kernel_size: k, or ``auto``: the paper's rule with gamma = 2 and b = 1, int(|(log2(C) + 1) / 2|), plus 1 if
            that is even, but at least 3. The paper's rule gives 4 to 7 channels a kernel of 1, which sees no
            neighbour.
        neutral: gates of mean 1 whose last layer starts at zero (see ``from_zero``).
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1 or ``kernel_size`` is not allowed.
    """

    def __init__(
        self, channels: int, kernel_size: Literal["auto", 3, 5, 7, 9] = "auto", neutral: bool = False
    ) -> None:
        super().__init__()
        size = _kernel_size(channels) if kernel_size == "auto" else kernel_size
        self.conv = from_zero(nn.Conv1d(1, 1, size, padding=size // 2, bias=False), neutral)
        self.gain = 2.0 if neutral else 1.0

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.conv(x.mean((2, 3))[:, None]).sigmoid()
        return x * scaled(weights, self.gain)[:, 0, :, None, None]


def _kernel_size(channels: int) -> int:
    size = int(abs((math.log2(channels) + 1) / 2))
    return max(3, size if size % 2 else size + 1)
