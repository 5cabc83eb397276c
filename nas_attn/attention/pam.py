"""Position attention module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_attn.attention._attend import attend
from nas_attn.attention._check import check_arguments
from nas_attn.attention._registry import attention
from nas_attn.kind import AttentionKind, Option

KIND = AttentionKind(
    name="pam",
    title="position attention module",
    paper="Fu et al. 2019, arXiv:1809.02983",
    options=(Option("reduction", 8, "channels over the channels of queries and keys", minimum=1),),
    quadratic=True,
    starts_as_identity=True,
)


@attention(KIND)
class PositionAttention(nn.Module):
    """Add to each position what all others have to say (Fu et al. 2019, arXiv:1809.02983, eq. 1-2).

        y_i = x_i + gamma * sum_j softmax_j(q_i . k_j) v_j

    q, k and v are 1x1 convolutions of x with bias; the dot products are not divided by sqrt(d). Gamma is 0 at
    the start, so that the paper's start is an exact identity already: ``start`` makes no difference (a second
    factor of 0 in front of gamma would leave both without a gradient).

    Args:
        channels: C of the input.
        reduction: C over d, the channels of q and k; d is max(1, C // reduction).
    Shape: (N, C, H, W) -> (N, C, H, W); time grows with (H * W)^2, memory with H * W (see ``attend``).
    Raises:
        AttentionError: ``channels`` or ``reduction`` is below 1.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        check_arguments(KIND, {"channels": channels}, {"reduction": reduction})
        hidden = max(1, channels // reduction)
        self.query = nn.Conv2d(channels, hidden, 1)
        self.key = nn.Conv2d(channels, hidden, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        # No dimensions: a fp32 scalar leaves a bf16 product in bf16, a vector of one would widen it.
        self.gamma = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set gamma to 0; the convolutions have starts of their own."""
        nn.init.zeros_(self.gamma)

    def forward(self, x: Tensor) -> Tensor:
        heard = attend(self.query(x).flatten(2), self.key(x).flatten(2), self.value(x).flatten(2))
        return x + self.gamma * heard.view(x.shape)
