"""No attention, as a kind like any other."""

from __future__ import annotations

from torch import Tensor, nn

from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind

KIND = AttentionKind(name="none", title="no attention", paper="", starts_as_identity=True)


@attention(KIND)
class NoAttention(nn.Module):
    """Return the input itself: no parameters, no operations, no random numbers drawn.

    Args:
        channels: C of the input.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x
