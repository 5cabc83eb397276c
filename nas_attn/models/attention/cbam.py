"""Convolutional block attention module."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._perceptron import ChannelPerceptron, hidden_width
from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.kind import MIN_HIDDEN, AttentionKind, Option

KIND = AttentionKind(
    name="cbam",
    title="convolutional block attention module",
    paper="Woo et al. 2018, arXiv:1807.06521",
    options=(
        Option("reduction", 16, "channels over hidden channels", minimum=1),
        MIN_HIDDEN,
        Option("kernel_size", 7, "side of the spatial convolution, in pixels", choices=(3, 7)),
        Option("bias", True, "whether the perceptron has biases, as in the authors' code"),
        Option("norm", True, "whether batch normalisation follows the convolution, as in the authors' code"),
        Option("parts", "both", "both, or one half alone", choices=("both", "channel", "spatial")),
    ),
    neutral_start=True,
    neutral_version=2,
)


@attention(KIND)
class ConvolutionalBlockAttention(nn.Module):
    """Reweight channels, then positions (Woo et al. 2018, arXiv:1807.06521, eq. 2-3).

        x' = x * sigmoid(MLP(mean_HW(x)) + MLP(max_HW(x)))
        y = x' * sigmoid(BN(conv_kxk([max_C(x'), mean_C(x')])))          neutral: 4 x' in place of x'

    One perceptron serves both averages and maxima. As in the authors' code, but not in the equations, the
    perceptron has biases, and batch normalisation follows the convolution. Its running statistics have a momentum
    of 0.01. ``bias=false, norm=false`` gives the equations of the paper. With ``parts=channel`` the output is x'.
    With ``parts=spatial`` it is y computed from x in place of x'.

    Args:
        channels: C of the input.
        reduction: bottleneck ratio; the hidden width is max(min_hidden, C // reduction).
        kernel_size: k, 3 or 7.
        min_hidden: least hidden width; 8 as most libraries round, 1 for the paper's width on a narrow map.
        bias: whether the perceptron has biases.
        norm: whether BN follows the convolution.
        parts: ``both`` halves, or ``channel`` or ``spatial`` alone.
        neutral: gates of mean 1 whose last layer starts at zero (see ``from_zero``).
    Shape: (N, C, H, W) -> (N, C, H, W); with BN, N * H * W must be at least 2 in training.
    Raises:
        AttentionError: a number is below 1, ``kernel_size`` or ``parts`` is not allowed, or a batch to normalise
            in training is a single 1x1 map.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        kernel_size: Literal[3, 7] = 7,
        min_hidden: int = 8,
        bias: bool = True,
        norm: bool = True,
        parts: Literal["both", "channel", "spatial"] = "both",
        neutral: bool = False,
    ) -> None:
        super().__init__()
        self.parts = parts
        self.normalised = norm and parts != "channel"
        gain = 2.0 if neutral else 1.0
        self.gain = gain**2 if parts == "both" else gain  # both gains at once: BN cancels the first
        if parts != "spatial":
            hidden = hidden_width(channels, reduction, min_hidden)
            self.perceptron = ChannelPerceptron(channels, hidden, bias, neutral)
        if parts != "channel":
            self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
            self.norm = nn.BatchNorm2d(1, momentum=0.01) if norm else nn.Identity()
            from_zero(self.norm if norm else self.conv, neutral)

    def forward(self, x: Tensor) -> Tensor:
        if self.normalised:
            check_batch_statistics(KIND.name, x, self.training)
        if self.parts == "spatial":
            return x * scaled(self._by_position(x), self.gain)
        x = x * self._by_channel(x)
        return x if self.parts == "channel" else x * self._by_position(x)

    def _by_channel(self, x: Tensor) -> Tensor:
        pooled = torch.stack((x.mean((2, 3)), x.amax((2, 3))))
        by_channel = self.perceptron(pooled).sum(0).sigmoid()
        return scaled(by_channel, self.gain)[:, :, None, None]

    def _by_position(self, x: Tensor) -> Tensor:
        pooled = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), 1)
        weights: Tensor = self.norm(self.conv(pooled)).sigmoid()
        return weights
