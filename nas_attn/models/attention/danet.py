"""Dual attention."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from nas_attn.models.attention._registry import attention
from nas_attn.models.attention.cam import COMPARE, ENERGY, ChannelAttention
from nas_attn.models.attention.pam import PositionAttention
from nas_attn.models.kind import AttentionKind, Family, Option

KIND = AttentionKind(
    name="danet",
    title="dual attention: positions and channels",
    paper="Fu et al. 2019, arXiv:1809.02983",
    family=Family.CONTEXT,
    options=(Option("reduction", 8, "channels over the channels of queries and keys", minimum=1), ENERGY, COMPARE),
    quadratic=True,
    starts_as_identity=True,
)


@attention(KIND)
class DualAttention(nn.Module):
    """Add up attention over positions and attention over channels (Fu et al. 2019, arXiv:1809.02983, section 3).

        y = PAM(x) + CAM(x) - x

    Both modules add to x (see ``PositionAttention`` and ``ChannelAttention``). The sum counts x once, so the
    start, with gamma and beta at 0, is an exact identity. The paper's network is larger: each module stands
    between two 3x3 convolutions of its own, and both branches are summed with their x. Here the U-Net's blocks
    provide the convolutions, and the module keeps the shape of x.

    Args:
        channels: C of the input.
        reduction: C over d, the channels of queries and keys; d is max(1, C // reduction).
        energy: energy of the channel attention: ``inverted``, as in the authors' code, or ``product``.
        compare: comparison of the channel attention: ``sum`` or ``mean``.
    Shape: (N, C, H, W) -> (N, C, H, W); time grows with (H * W)^2, memory with H * W and C^2.
    Raises:
        AttentionError: ``channels`` or ``reduction`` is below 1, or an option is not allowed.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 8,
        energy: Literal["inverted", "product"] = "inverted",
        compare: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__()
        self.position = PositionAttention(channels, reduction)
        self.channel = ChannelAttention(channels, energy, compare)

    def forward(self, x: Tensor) -> Tensor:
        by_position: Tensor = self.position(x)
        by_channel: Tensor = self.channel(x)
        return by_position + (by_channel - x)
