"""Spatial attention: the second half of CBAM by itself."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.attention._spatial_gate import SpatialGate
from nas_attn.models.kind import AttentionKind, Option

KIND = AttentionKind(
    name="spatial",
    title="spatial attention (of CBAM)",
    paper="Woo et al. 2018, arXiv:1807.06521",
    options=(
        Option("kernel_size", 7, "side of the convolution, in pixels", choices=(1, 3, 7)),
        Option("norm", True, "whether batch normalisation follows the convolution, as in the authors' code"),
    ),
    neutral_start=True,
)


@attention(KIND)
class SpatialAttention(nn.Module):
    """Reweight positions (Woo et al. 2018, arXiv:1807.06521, eq. 3).

        y = x * sigmoid(BN(conv_kxk([max_C(x), mean_C(x)])))

    The equation has no batch normalisation; the authors' code has it (see ``norm``). The default is that of
    ``cbam``, whose second step this is.

    Args:
        channels: C of the input; not used.
        kernel_size: k: 3 or 7 as in the paper, or 1, which weighs each position by itself.
        norm: whether BN follows the convolution.
        neutral: twice the sigmoid, whose argument is 0 at step 0.
    Shape: (N, C, H, W) -> (N, C, H, W); with ``norm``, N * H * W must be at least 2 in training.
    Raises:
        AttentionError: ``channels`` is below 1, ``kernel_size`` is none of 1, 3 and 7, or a batch to normalise in
            training is a single 1x1 map.
    """

    def __init__(
        self, channels: int, kernel_size: Literal[1, 3, 7] = 7, norm: bool = True, neutral: bool = False
    ) -> None:
        super().__init__()
        self.gate = SpatialGate(kernel_size, norm, neutral)
        self.normalised = norm

    def forward(self, x: Tensor) -> Tensor:
        if self.normalised:
            check_batch_statistics(KIND.name, x, self.training)
        weights: Tensor = self.gate(x)
        return x * weights
