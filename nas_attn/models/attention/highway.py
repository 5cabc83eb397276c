"""Highway layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import BLOCK_STAGES, AttentionKind, Family, Option

KIND = AttentionKind(
    name="highway",
    title="highway layer",
    paper="Srivastava et al. 2015, arXiv:1505.00387",
    family=Family.CONVOLUTION,
    stages=BLOCK_STAGES,
    options=(
        Option("bias", -2.0, "bias of the transform gate at step 0; the lower, the more of x is carried over"),
    ),
)


@attention(KIND)
class Highway(nn.Module):
    """Mix x and its transformation by a gate at each position (Srivastava et al. 2015, arXiv:1505.00387, eq. 3).

        y = relu(W_H * x + b_H) t + x (1 - t),  t = sigmoid(W_T * x + b_T)

    W_H and W_T are kernels of 3x3. b_T starts below 0, at -1 to -4 in the paper, so that x passes mostly unchanged
    at first.

    Args:
        channels: C of the input.
        bias: b_T at the start.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1 or ``bias`` is not a number.
    """

    def __init__(self, channels: int, bias: float = -2.0) -> None:
        super().__init__()
        self.transform = nn.Conv2d(channels, channels, 3, padding=1)
        self.gate = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.gate_bias = nn.Parameter(torch.empty(channels))
        self.first_bias = bias
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the bias of the gate to its start."""
        nn.init.constant_(self.gate_bias, self.first_bias)

    def forward(self, x: Tensor) -> Tensor:
        share = (self.gate(x) + self.gate_bias[:, None, None]).sigmoid().to(x.dtype)
        return torch.lerp(x, functional.relu(self.transform(x)).to(x.dtype), share)
