"""Conditionally parameterised convolution."""

from __future__ import annotations

from torch import Tensor, nn

from nas_attn.models.attention._kernel_bank import KernelBank
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import BLOCK_STAGES, AttentionKind, Family, Option

KIND = AttentionKind(
    name="condconv",
    title="conditionally parameterised convolution",
    paper="Yang et al. 2019, arXiv:1904.04971",
    family=Family.CONVOLUTION,
    stages=BLOCK_STAGES,
    options=(Option("experts", 4, "n, kernels that an image mixes", minimum=1),),
)


@attention(KIND)
class ConditionalConvolution(nn.Module):
    """3x3 convolution with a mixture of n kernels, whose weights depend on the image (Yang et al. 2019,
    arXiv:1904.04971, eq. 1-2).

        y = (a_1 W_1 + ... + a_n W_n) * x,  a = sigmoid(R mean_HW(x) + b)

    The weights of the mixture do not compete: each has its own sigmoid, instead of a softmax over all. The
    authors' code has b, the paper does not. The paper has up to 32 experts; its EfficientNets have 4 and 8.

    Args:
        channels: C of the input.
        experts: n.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` or ``experts`` is below 1.
    """

    def __init__(self, channels: int, experts: int = 4) -> None:
        super().__init__()
        self.routing = nn.Linear(channels, experts)
        self.bank = KernelBank(channels, experts)

    def forward(self, x: Tensor) -> Tensor:
        convolved: Tensor = self.bank(x, self.routing(x.mean((2, 3))).sigmoid())
        return convolved
