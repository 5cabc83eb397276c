"""Triplet attention."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.attention._spatial_gate import SpatialGate
from nas_attn.models.kind import AttentionKind, Option

KIND = AttentionKind(
    name="triplet",
    title="triplet attention",
    paper="Misra et al. 2021, arXiv:2010.03045",
    options=(Option("kernel_size", 7, "side of the three convolutions", choices=(3, 7)),),
    neutral_start=True,
)


@attention(KIND)
class TripletAttention(nn.Module):
    """Reweight each pair of dimensions by a gate (Misra et al. 2021, arXiv:2010.03045, section 3).

        y = x * (g_CW + g_CH + g_HW) / 3

    Each g is the spatial gate of CBAM (see ``SpatialGate``) on a transposed map. g_CW is a map over C and W and
    takes maxima and means over H; g_CH takes them over W, g_HW over C. The paper averages the three gated maps,
    which gives the same result.

    Args:
        channels: C of the input; not used.
        kernel_size: side of the convolutions, 3 or 7.
        neutral: twice each sigmoid, whose argument is 0 at step 0.
    Shape: (N, C, H, W) -> (N, C, H, W); N * H * W must be at least 2 in training.
    Raises:
        AttentionError: ``channels`` is below 1, ``kernel_size`` is neither 3 nor 7, or a batch in training is a
            single 1x1 map.
    """

    def __init__(self, channels: int, kernel_size: Literal[3, 7] = 7, neutral: bool = False) -> None:
        super().__init__()
        self.over_height = SpatialGate(kernel_size, neutral=neutral)
        self.over_width = SpatialGate(kernel_size, neutral=neutral)
        self.over_channels = SpatialGate(kernel_size, neutral=neutral)

    def forward(self, x: Tensor) -> Tensor:
        standing, lying = x.transpose(1, 2), x.transpose(1, 3)
        for seen in (x, standing, lying):
            check_batch_statistics(KIND.name, seen, self.training)
        by_height: Tensor = self.over_height(standing).transpose(1, 2)
        by_width: Tensor = self.over_width(lying).transpose(1, 3)
        by_channels: Tensor = self.over_channels(x)
        return x * ((by_height + by_width + by_channels) / 3)
