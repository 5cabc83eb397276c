"""The two-layer perceptron over channels that SE, CBAM, scSE and others share, and its width."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._neutral import from_zero
from nas_attn.models.attention._steady import SteadyLinear


def hidden_width(channels: int, reduction: int, min_hidden: int) -> int:
    """Hidden channels of a bottleneck with a rectifier: C // reduction, but at least ``min_hidden``.

    Papers divide the 64 to 2048 channels of a classifier. In a narrow network this leaves one or two hidden units.
    If these start below zero for all images, the module is a constant and has no gradient.
    """
    return max(min_hidden, channels // reduction)


class ChannelPerceptron(nn.Module):
    """Squeeze C channels into a few hidden ones and expand them again: W2 relu(W1 z + b1) + b2.

    Args:
        channels: C.
        hidden: channels between the two layers.
        bias: whether both layers add a bias.
        neutral: all hidden units are active and stay active (see ``SteadyLinear``), and the output is 0 at the
            start (see ``from_zero``).
    Shape: (..., C) -> (..., C).
    """

    def __init__(self, channels: int, hidden: int, bias: bool = True, neutral: bool = False) -> None:
        super().__init__()
        self.squeeze = (SteadyLinear if neutral else nn.Linear)(channels, hidden, bias=bias)
        self.excite = from_zero(nn.Linear(hidden, channels, bias=bias), neutral)

    def forward(self, z: Tensor) -> Tensor:
        excited: Tensor = self.excite(functional.relu(self.squeeze(z)))
        return excited
