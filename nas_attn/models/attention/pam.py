"""Position attention module."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._attend import attend
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Family, Option

KIND = AttentionKind(
    name="pam",
    title="position attention module",
    paper="Fu et al. 2019, arXiv:1809.02983",
    family=Family.CONTEXT,
    options=(
        Option("reduction", 8, "channels over the channels of queries and keys", minimum=1),
        Option(
            "pool",
            1,
            "side of the squares of positions that are averaged into one key and value; 1: none, as in the paper",
            choices=(1, 2, 4),
        ),
    ),
    quadratic=True,
    starts_as_identity=True,
)


@attention(KIND)
class PositionAttention(nn.Module):
    """Add to each position a weighted sum over all positions (Fu et al. 2019, arXiv:1809.02983, eq. 1-2).

        y_i = x_i + gamma * sum_j softmax_j(q_i . k_j) v_j

    q, k and v are 1x1 convolutions of x with bias. The dot products are not divided by sqrt(d). Gamma starts at 0,
    so the paper's own start is an exact identity, and ``start`` makes no difference: a second factor of 0 in front
    of gamma would leave both without a gradient.

    Not in the paper: with ``pool`` of 2 or 4, the positions j are averages over squares of that side. Squares that
    cross the right or lower edge average the pixels inside the map. This is a different module, for large maps,
    with a 4th or a 16th of the weights. Each position still reaches all others.

    Args:
        channels: C of the input.
        reduction: C over d, the channels of q and k; d is max(1, C // reduction).
        pool: side of the squares, in pixels: 1, 2 or 4.
    Shape: (N, C, H, W) -> (N, C, H, W); time grows with (H * W)^2, memory with H * W (see ``attend``).
    Raises:
        AttentionError: ``channels`` or ``reduction`` is below 1 or ``pool`` is not allowed.
    """

    def __init__(self, channels: int, reduction: int = 8, pool: Literal[1, 2, 4] = 1) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.pool = pool
        # No dimensions: an fp32 scalar leaves a bf16 product in bf16, a vector of one value would widen it.
        self.gamma = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set gamma to 0; the convolutions reset themselves."""
        nn.init.zeros_(self.gamma)

    def forward(self, x: Tensor) -> Tensor:
        heard_at = x if self.pool == 1 else functional.avg_pool2d(x, self.pool, ceil_mode=True)
        keys, values = self.key(heard_at).flatten(2), self.value(heard_at).flatten(2)
        heard = attend(self.query(x).flatten(2), keys, values)
        return x + self.gamma * heard.view(x.shape)
