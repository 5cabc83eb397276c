"""Efficient attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nas_attn.models.attention._neutral import from_zero
from nas_attn.models.attention._precise import precise
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Family, Option

KIND = AttentionKind(
    name="linear",
    title="efficient attention, linear in the positions",
    paper="Shen et al. 2021, arXiv:1812.01243",
    family=Family.CONTEXT,
    options=(
        Option("heads", 1, "equal parts of the channels that attend by themselves", choices=(1, 2, 4, 8)),
        Option("reduction", 2, "channels over the channels of queries, keys and values", minimum=1),
    ),
    neutral_start=True,
)


@attention(KIND)
class EfficientAttention(nn.Module):
    """Summarise all positions in a few context vectors, and let each position mix them (Shen et al. 2021,
    arXiv:1812.01243, section 3, with softmax as the normalisation).

        y_i = x_i + W sum_a softmax_a(q_i)_a g_a + b,  g_a = sum_j softmax_j(k_ja) v_j

    q, k, v and W are 1x1 convolutions with bias. Each of the d channels a of q and k has one context g_a. Softmax
    over the positions turns channel a of k into weights. Softmax over the channels of a head turns q_i into
    weights. Together they are weights of i on j that sum to 1, but that matrix is never computed. The paper
    chooses d by hand for each network. Here it is C // 2 by default, as in the non-local block that the module
    replaces.

    Args:
        channels: C of the input.
        heads: number of equal parts of the channels of q, k and v; the softmax of q runs within one part.
        reduction: C over d. d is C // reduction, rounded down to a multiple of ``heads``, and at least 2 for each
            head: softmax over a single channel would cancel q.
        neutral: W and b start at 0.
    Shape: (N, C, H, W) -> (N, C, H, W); time and memory grow with H * W.
    Raises:
        AttentionError: ``channels`` or ``reduction`` is below 1 or ``heads`` is not allowed.
    """

    def __init__(
        self, channels: int, heads: Literal[1, 2, 4, 8] = 1, reduction: int = 2, neutral: bool = False
    ) -> None:
        super().__init__()
        hidden = heads * max(2, channels // reduction // heads)
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1)
        self.value = nn.Conv2d(channels, hidden, 1)
        self.project = from_zero(nn.Conv2d(hidden, channels, 1), neutral)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        queries, keys, values = (self._parts(layer(x)) for layer in (self.query, self.key, self.value))
        mixed = precise(queries).softmax(2).to(values.dtype)
        weights = precise(keys).softmax(3).to(values.dtype)
        contexts = torch.matmul(values, weights.transpose(2, 3))
        heard = torch.matmul(contexts, mixed)
        projected: Tensor = self.project(heard.reshape(x.shape[0], -1, *x.shape[2:]))
        return x + projected

    def _parts(self, x: Tensor) -> Tensor:
        """(N, d, H, W) -> (N, heads, d / heads, H * W)."""
        return x.reshape(x.shape[0], self.heads, -1, x.shape[2] * x.shape[3])
