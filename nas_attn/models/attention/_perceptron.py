"""The two-layer perceptron over channels that SE, CBAM, scSE and others share, and its width."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._neutral import from_zero
from nas_attn.models.attention._steady import SteadyLinear


def hidden_width(channels: int, reduction: int, min_hidden: int) -> int:
    """Hidden channels of a bottleneck that ends in a rectifier: C // reduction, but at least ``min_hidden``.

    Papers divide the 64 to 2048 channels of a classifier. In a narrow network one or two hidden units are left,
    and where these start below zero for all images the module is a constant and has no gradient.
    """
    return max(min_hidden, channels // reduction)


class ChannelPerceptron(nn.Module):
    """Squeeze C channels through a few hidden ones and back: W2 relu(W1 z + b1) + b2.

    Args:
        channels: C.
        hidden: channels between the two layers.
        bias: whether both layers add a bias.
        neutral: all hidden units fire and go on firing, and the answer is 0 at the start (see ``SteadyLinear`` and
            ``from_zero``).
    Shape: (..., C) -> (..., C).
    """

    def __init__(self, channels: int, hidden: int, bias: bool = True, neutral: bool = False) -> None:
        super().__init__()
        self.squeeze = (SteadyLinear if neutral else nn.Linear)(channels, hidden, bias=bias)
        self.excite = from_zero(nn.Linear(hidden, channels, bias=bias), neutral)

    def forward(self, z: Tensor) -> Tensor:
        excited: Tensor = self.excite(functional.relu(self.squeeze(z)))
        return excited
