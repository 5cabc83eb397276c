"""Global-and-local attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._perceptron import ChannelPerceptron, hidden_width
from nas_attn.models.attention._registry import attention
from nas_attn.models.attention._steady import SteadyConv2d
from nas_attn.models.kind import MIN_HIDDEN, AttentionKind, Option

# Standard deviation of a standard normal distribution that is truncated at -2 and 2.
CUT_OFF_DEVIATION = 0.87962566103423978

KIND = AttentionKind(
    name="gala",
    title="global-and-local attention",
    paper="Linsley et al. 2019, arXiv:1805.08819",
    options=(
        Option("reduction", 4, "channels over hidden channels", minimum=1),
        Option(
            "variant",
            "paper",
            "paper: tanh; code: sigmoid, a 5x5 convolution more, and no negative answers of the global half",
            choices=("paper", "code"),
        ),
        MIN_HIDDEN,
    ),
    neutral_start=True,
    neutral_version=2,
)


@attention(KIND)
class GlobalLocalAttention(nn.Module):
    """Reweight x by its combined scores of channels and positions (Linsley et al. 2019, arXiv:1805.08819).

        y = x * tanh(a (S + G) + m (S G))
        S = conv_1x1(relu(conv_1x1(x))),  G = W2 relu(W1 mean_HW(x) + b1) + b2

    S has one value for each position, G one for each channel. a and m weigh their sum and their product, channel
    by channel. All layers have biases. The authors' code differs: with ``code`` a sigmoid replaces tanh, a 5x5
    convolution with relu follows the first convolution of S, and G ends with a relu.

    tanh starts around 0, which deletes x instead of rescaling it: the authors place the module in the residual
    branch of a block. So the neutral start adds x as that block does, y = x + x * tanh(...), and S and G start at
    0. With ``code`` it takes twice the sigmoid, and a and m start at 0. Otherwise a and m start as in the authors'
    code: normal, truncated at two standard deviations, with variance 1.

    Args:
        channels: C of the input.
        reduction: bottleneck ratio of both halves; the hidden width is max(min_hidden, C // reduction).
        variant: ``paper`` or ``code``.
        min_hidden: least hidden width; 1 gives the paper's width on a narrow map.
        neutral: gates of mean 1 whose last layer starts at zero (see ``from_zero``).
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: a number is below 1, or ``variant`` is not allowed.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 4,
        variant: Literal["paper", "code"] = "paper",
        min_hidden: int = 8,
        neutral: bool = False,
    ) -> None:
        super().__init__()
        hidden = hidden_width(channels, reduction, min_hidden)
        self.by_paper = variant == "paper"
        self.local = nn.Sequential(
            *(SteadyConv2d(channels, hidden) if neutral else nn.Conv2d(channels, hidden, 1), nn.ReLU()),
            *(() if self.by_paper else (nn.Conv2d(hidden, hidden, 5, padding=2), nn.ReLU())),
            from_zero(nn.Conv2d(hidden, 1, 1), neutral and self.by_paper),
        )
        self.perceptron = ChannelPerceptron(channels, hidden, neutral=neutral and self.by_paper)
        self.neutral = neutral
        # With ``code`` a and m start at zero instead: a G of 0 would stay at 0 behind its relu.
        self.combine = from_zero(SumAndProduct(channels), neutral and not self.by_paper)

    def forward(self, x: Tensor) -> Tensor:
        by_position: Tensor = self.local(x)
        by_channel: Tensor = self.perceptron(x.mean((2, 3)))[:, :, None, None]
        if self.by_paper:
            weights = self.combine.forward(by_position, by_channel).tanh()
            weights = 1 + weights if self.neutral else weights
        else:
            weights = self.combine.forward(by_position, functional.relu(by_channel)).sigmoid()
            weights = scaled(weights, 2.0 if self.neutral else 1.0)
        return x * weights.to(x.dtype)


class SumAndProduct(nn.Module):
    """a (s + g) + m (s g), with one a and one m for each channel.

    Args:
        channels: C.
    Shape: (N, 1, H, W), (N, C, 1, 1) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.empty(channels))
        self.m = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw a and m from a normal distribution truncated at two standard deviations, with variance 1."""
        std = 1 / CUT_OFF_DEVIATION
        for weight in (self.a, self.m):
            nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)

    def forward(self, s: Tensor, g: Tensor) -> Tensor:
        return self.a[:, None, None] * (s + g) + self.m[:, None, None] * (s * g)
