"""Squeeze-and-excitation."""

from __future__ import annotations

from torch import Tensor, nn

from nas_attn.models.attention._neutral import scaled
from nas_attn.models.attention._perceptron import ChannelPerceptron, hidden_width
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import MIN_HIDDEN, AttentionKind, Option

KIND = AttentionKind(
    name="se",
    title="squeeze-and-excitation",
    paper="Hu et al. 2018, arXiv:1709.01507",
    options=(
        Option("reduction", 16, "channels over hidden channels", minimum=1),
        MIN_HIDDEN,
        Option("bias", True, "whether both linear layers add a bias, as in the authors' Caffe network"),
    ),
    neutral_start=True,
    neutral_version=2,
)


@attention(KIND)
class SqueezeExcite(nn.Module):
    """Reweight channels by their global average (Hu et al. 2018, arXiv:1709.01507, eq. 2-4).

        y = x * sigmoid(W2 relu(W1 mean_HW(x) + b1) + b2)          neutral: y = x * 2 sigmoid(...)

    The equations have no biases; the authors' Caffe network and most libraries have them (see ``bias``).

    Args:
        channels: C of the input.
        reduction: bottleneck ratio; the hidden width is max(min_hidden, C // reduction).
        bias: whether b1 and b2 exist.
        min_hidden: least hidden width; 8 as most libraries round, 1 for the paper's width on a narrow map.
        neutral: gates of mean 1 whose last layer starts at zero (see ``from_zero``).
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels``, ``reduction`` or ``min_hidden`` is below 1.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        bias: bool = True,
        min_hidden: int = 8,
        neutral: bool = False,
    ) -> None:
        super().__init__()
        self.perceptron = ChannelPerceptron(channels, hidden_width(channels, reduction, min_hidden), bias, neutral)
        self.gain = 2.0 if neutral else 1.0

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.perceptron(x.mean((2, 3))).sigmoid()
        return x * scaled(weights, self.gain)[:, :, None, None]
