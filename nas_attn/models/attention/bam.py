"""Bottleneck attention module."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._perceptron import hidden_width
from nas_attn.models.attention._pooled_norm import PooledNorm
from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.attention._steady import SteadyConv2d
from nas_attn.models.kind import MIN_HIDDEN, AttentionKind, Option

KIND = AttentionKind(
    name="bam",
    title="bottleneck attention module",
    paper="Park et al. 2018, arXiv:1807.06514",
    options=(
        Option("reduction", 16, "channels over hidden channels", minimum=1),
        MIN_HIDDEN,
        Option("dilation", 4, "pixels between the taps of the 3x3 convolutions", minimum=1),
        Option(
            "variant",
            "paper",
            "paper: branches normalised at their end, and added; code: at each hidden layer, and multiplied",
            choices=("paper", "code"),
        ),
    ),
    neutral_start=True,
    neutral_version=2,
)


@attention(KIND)
class BottleneckAttention(nn.Module):
    """Strengthen channels and positions selected by two branches (Park et al. 2018, arXiv:1807.06514, section 3).

        y = x + x * sigmoid(channel(x) + position(x))          neutral: two thirds of it
        channel(x) = BN(W2 relu(W1 mean_HW(x)))
        position(x) = BN(conv_1x1(relu(conv_3x3(relu(conv_3x3(relu(conv_1x1(x))))))))

    Convolutions and linear maps have biases. The 3x3 convolutions are dilated. The paper's equations do not write
    the relu of hidden layers. The authors' code differs: with ``code`` the hidden layers are normalised before
    each relu, the last layers are not, and the branches are multiplied. In the channel branch, ``PooledNorm``
    accepts a batch of one.

    Args:
        channels: C of the input.
        reduction: bottleneck ratio of both branches; the hidden width is max(min_hidden, C // reduction).
        dilation: dilation of the 3x3 convolutions; 4 in the paper.
        variant: ``paper`` or ``code``.
        min_hidden: least hidden width; 1 gives the paper's width on a narrow map.
        neutral: gates of mean 1 whose last layer starts at zero (see ``from_zero``).
    Shape: (N, C, H, W) -> (N, C, H, W); N * H * W must be at least 2 in training.
    Raises:
        AttentionError: ``channels`` is below 1, an option is not allowed, or a batch in training is a
            single 1x1 map.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        dilation: int = 4,
        variant: Literal["paper", "code"] = "paper",
        min_hidden: int = 8,
        neutral: bool = False,
    ) -> None:
        super().__init__()
        hidden = hidden_width(channels, reduction, min_hidden)
        by_paper = variant == "paper"
        self.added = by_paper
        # Only the hidden layers of ``code`` are normalised.
        convolve = SteadyConv2d if neutral and by_paper else _convolution
        self.channel = nn.Sequential(
            *_hidden(convolve(channels, hidden), PooledNorm(hidden), by_paper),
            nn.Conv2d(hidden, channels, 1),
            *([PooledNorm(channels)] if by_paper else []),
        )
        last = self.channel[-1]
        from_zero(last.norm if isinstance(last, PooledNorm) else last, neutral)
        self.position = nn.Sequential(
            *_hidden(convolve(channels, hidden), nn.BatchNorm2d(hidden), by_paper),
            *_hidden(convolve(hidden, hidden, 3, dilation), nn.BatchNorm2d(hidden), by_paper),
            *_hidden(convolve(hidden, hidden, 3, dilation), nn.BatchNorm2d(hidden), by_paper),
            nn.Conv2d(hidden, 1, 1),
            *([from_zero(nn.BatchNorm2d(1), neutral)] if by_paper else []),  # a product needs only one 0
        )
        self.gain = 2 / 3 if neutral else 1.0

    def forward(self, x: Tensor) -> Tensor:
        check_batch_statistics(KIND.name, x, self.training)
        by_channel, by_position = self.channel(x.mean((2, 3), keepdim=True)), self.position(x)
        asked: Tensor = by_channel + by_position if self.added else by_channel * by_position
        return x * scaled(1 + asked.sigmoid(), self.gain)


def _hidden(layer: nn.Module, norm: nn.Module, by_paper: bool) -> list[nn.Module]:
    return [layer, nn.ReLU()] if by_paper else [layer, norm, nn.ReLU()]


def _convolution(channels: int, hidden: int, kernel_size: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Convolution with bias that keeps the size of the map."""
    padding = kernel_size // 2 * dilation
    return nn.Conv2d(channels, hidden, kernel_size, padding=padding, dilation=dilation)
