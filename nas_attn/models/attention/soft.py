"""Soft attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._precise import precise
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Option

KIND = AttentionKind(
    name="soft",
    title="soft attention",
    paper="Xu et al. 2015, arXiv:1502.03044",
    options=(Option("reduction", 8, "channels over hidden channels", minimum=1),),
    starts_as_identity=True,
)


@attention(KIND)
class SoftAttention(nn.Module):
    """Reweight positions by a softmax over the map (Xu et al. 2015, arXiv:1502.03044, section 4.2).

        y_i = x_i * P softmax_i(v . tanh(W x_i + b)),  P = H W

    The paper sums alpha_i x_i into one context vector, which a map cannot use. Here each position keeps its term,
    times P, so that the weights average 1. The paper's score also depends on the state of a decoder, which does
    not exist here. v has no bias, because the softmax would cancel it. v starts at 0: all positions then have the
    same weight, the start is an exact identity, and ``start`` makes no difference.

    Args:
        channels: C of the input.
        reduction: C over the width of W x, which is max(1, C // reduction).
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` or ``reduction`` is below 1.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.project = nn.Conv2d(channels, hidden, 1)
        self.score = nn.Parameter(torch.empty(1, hidden, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set v to 0; the convolution resets itself."""
        nn.init.zeros_(self.score)

    def forward(self, x: Tensor) -> Tensor:
        scores = functional.conv2d(torch.tanh(self.project(x)), self.score)
        exact = precise(scores)
        shares = (exact - exact.detach().amax((2, 3), keepdim=True)).exp()
        # Divided by the mean, not by the sum and times P: equal scores then give exactly 1.
        weights = shares / shares.mean((2, 3), keepdim=True)
        return x * weights.to(x.dtype)
