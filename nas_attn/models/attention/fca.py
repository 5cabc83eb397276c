"""Frequency channel attention."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._neutral import scaled
from nas_attn.models.attention._perceptron import ChannelPerceptron, hidden_width
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import MIN_HIDDEN, AttentionKind, Option

GRID = 7
# (vertical, horizontal), best first in the ablation of Qin et al. 2021, as listed in their code.
BEST = (
    *((0, 0), (0, 1), (6, 0), (0, 5), (0, 2), (1, 0), (1, 2), (4, 0)),
    *((5, 0), (1, 6), (3, 0), (0, 4), (0, 6), (0, 3), (3, 5), (2, 2)),
)

KIND = AttentionKind(
    name="fca",
    title="frequency channel attention (FcaNet)",
    paper="Qin et al. 2021, arXiv:2012.11879",
    options=(
        Option(
            "frequencies", 16, "how many of the best frequencies the channels share out", choices=(1, 2, 4, 8, 16)
        ),
        Option("size", 7, "side to which the map is pooled before the transform", choices=(7, 14, 28, 56)),
        Option("reduction", 16, "channels over hidden channels", minimum=1),
        MIN_HIDDEN,
    ),
    neutral_start=True,
    neutral_version=2,
)


@attention(KIND)
class FrequencyChannelAttention(nn.Module):
    """Reweight channels by one frequency of each, not by their averages (Qin et al. 2021, arXiv:2012.11879,
    section 3).

        f_c = sum_HW(x_c * B_c),  y = x * sigmoid(W2 relu(W1 f))          neutral: y = x * 2 sigmoid(...)

    The channels are split into as many groups as there are frequencies. All channels of a group share a basis
    image B of the orthonormal two-dimensional cosine transform. The first frequency, (0, 0), gives the average
    times the side of the map. There are no biases. The frequencies belong to a grid of 7x7; for a larger ``size``
    they are multiplied by size / 7.

    The map is first pooled to size x size, as the authors do outside ImageNet. On ImageNet ``size`` was the map's
    own, 56 to 7. If the number of frequencies does not divide the channels, only gcd(frequencies, C) of the best
    are used.

    Args:
        channels: C of the input.
        frequencies: largest number of groups, a power of two up to 16.
        size: side of the pooled map, a multiple of 7: smaller grids have no room for the frequencies.
        reduction: bottleneck ratio; the hidden width is max(min_hidden, C // reduction).
        min_hidden: least hidden width; 8 as most libraries round, 1 for the paper's width on a narrow map.
        neutral: gates of mean 1 whose last layer starts at zero (see ``from_zero``).
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1 or an option is not allowed.
    """

    basis: Tensor

    def __init__(
        self,
        channels: int,
        frequencies: Literal[1, 2, 4, 8, 16] = 16,
        size: Literal[7, 14, 28, 56] = 7,
        reduction: int = 16,
        min_hidden: int = 8,
        neutral: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        self.perceptron = ChannelPerceptron(
            channels, hidden_width(channels, reduction, min_hidden), bias=False, neutral=neutral
        )
        self.gain = 2.0 if neutral else 1.0
        groups = math.gcd(frequencies, channels)
        # Not saved in the state, because it follows from the options.
        self.register_buffer(
            "basis", _basis(groups, size).repeat_interleave(channels // groups, 0), persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.adaptive_avg_pool2d(x, self.size)
        weights: Tensor = self.perceptron((pooled * self.basis).sum((2, 3))).sigmoid()
        return x * scaled(weights, self.gain).to(x.dtype)[:, :, None, None]


def _basis(groups: int, size: int) -> Tensor:
    """The basis images of the best frequencies, (groups, size, size)."""
    middles = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    orders = torch.arange(GRID, dtype=torch.float64) * (size // GRID)
    waves = torch.cos(math.pi * orders[:, None] * middles) * math.sqrt(2 / size)
    waves[0] = math.sqrt(1 / size)
    rows, columns = zip(*BEST[:groups], strict=True)
    return (waves[list(rows), :, None] * waves[list(columns), None, :]).to(torch.get_default_dtype())
