"""Concurrent spatial and channel squeeze-and-excitation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._perceptron import ChannelPerceptron, hidden_width
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import MIN_HIDDEN, AttentionKind, Option

KIND = AttentionKind(
    name="scse",
    title="concurrent spatial and channel squeeze-and-excitation",
    paper="Roy et al. 2018, arXiv:1803.02579",
    options=(
        Option("reduction", 2, "channels over hidden channels; segmentation_models.pytorch has 16", minimum=1),
        Option(
            "fusion",
            "add",
            "how the two reweighted maps become one",
            choices=("add", "max", "mul", "concat"),
        ),
        MIN_HIDDEN,
        Option("parts", "both", "both, or cSE or sSE alone", choices=("both", "channel", "spatial")),
    ),
    neutral_start=True,
    neutral_version=2,
)

_FUSIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "max": torch.maximum,
    "mul": torch.mul,
}


@attention(KIND)
class SpatialChannelSqueezeExcite(nn.Module):
    """Reweight channels and positions in parallel (Roy et al. 2018, arXiv:1803.02579, section 2).

        c = x * sigmoid(W2 relu(W1 mean_HW(x) + b1) + b2),  s = x * sigmoid(conv_1x1(x))
        y = c + s | max(c, s) | c * s | W [c, s]

    The paper adds c and s; its sequel (Roy et al. 2019, arXiv:1808.08127) compares the four fusions. There
    ``concat`` doubles the channels. Here a 1x1 convolution W without bias brings them back to C, and W starts as
    the sum. The sum of two gates of 1/2 is neutral already; with ``max`` and ``mul`` the neutral start doubles
    each gate (so ``mul`` starts as x^2). Either half can stand alone, with twice its gate: c is the paper's cSE
    (``se`` with a reduction of 2), s is its sSE, spatial attention by a 1x1 convolution.

    Args:
        channels: C of the input.
        reduction: bottleneck ratio; the hidden width is max(min_hidden, C // reduction). Both papers have 2.
        fusion: ``add``, ``max``, ``mul`` or ``concat``.
        min_hidden: least hidden width; 8 as most libraries round, 1 for the paper's width on a narrow map.
        parts: ``both``, or c (``channel``) or s (``spatial``) alone, without a fusion.
        neutral: gates of mean 1 whose last layer starts at zero (see ``from_zero``).
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: a number is below 1, or ``fusion`` or ``parts`` is not allowed.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 2,
        fusion: Literal["add", "max", "mul", "concat"] = "add",
        min_hidden: int = 8,
        parts: Literal["both", "channel", "spatial"] = "both",
        neutral: bool = False,
    ) -> None:
        super().__init__()
        if parts != "spatial":
            hidden = hidden_width(channels, reduction, min_hidden)
            self.perceptron = ChannelPerceptron(channels, hidden, neutral=neutral)
        if parts != "channel":
            self.conv = from_zero(nn.Conv2d(channels, 1, 1), neutral)
        self.gain = 2.0 if neutral and (parts != "both" or fusion in ("max", "mul")) else 1.0
        self.fusion, self.parts = fusion, parts
        self.mix = LearnedSum(channels) if parts == "both" and fusion == "concat" else None

    def forward(self, x: Tensor) -> Tensor:
        if self.parts != "both":
            return self._by_channel(x) if self.parts == "channel" else self._by_position(x)
        by_channel, by_position = self._by_channel(x), self._by_position(x)
        if self.mix is not None:
            return self.mix.forward(by_channel, by_position)
        return _FUSIONS[self.fusion](by_channel, by_position)

    def _by_channel(self, x: Tensor) -> Tensor:
        return x * scaled(self.perceptron(x.mean((2, 3))).sigmoid(), self.gain)[:, :, None, None]

    def _by_position(self, x: Tensor) -> Tensor:
        return x * scaled(self.conv(x).sigmoid(), self.gain)


class LearnedSum(nn.Module):
    """1x1 convolution of two maps that starts as their sum: W [a, b], with W = [I I] at the start.

    Args:
        channels: C of each map.
    Shape: (N, C, H, W), (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 2 * channels, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set W to [I I]."""
        identity = torch.eye(self.weight.shape[0], device=self.weight.device)
        with torch.no_grad():
            self.weight.copy_(torch.cat((identity, identity), 1)[:, :, None, None])

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return functional.conv2d(torch.cat((a, b), 1), self.weight)
