"""Gated channel transformation."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nas_attn.models.attention._precise import precise
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Option

EPSILON = 1e-5

KIND = AttentionKind(
    name="gct",
    title="gated channel transformation",
    paper="Yang et al. 2020, arXiv:1909.11519",
    options=(
        Option(
            "norm", "l2", "norm by which a channel is summarised and channels are compared", choices=("l2", "l1")
        ),
    ),
    starts_as_identity=True,
)


@attention(KIND)
class GatedChannelTransformation(nn.Module):
    """Let channels compete or cooperate by their energies (Yang et al. 2020, arXiv:1909.11519, section 3).

        s_c = alpha_c sqrt(sum_HW(x_c^2) + eps)
        y_c = x_c (1 + tanh(gamma_c s_c / sqrt(mean_C(s^2) + eps) + beta_c))

    The l1 form has s_c = alpha_c sum_HW|x_c| and mean_C|s| + eps in the denominator. eps = 1e-5 is added to the
    mean over channels, as in the authors' code; the paper adds it to the sum. The energies are sums over the whole
    map, which fp16 cannot represent, so they are computed in fp32 or better. Alpha starts at 1, gamma and beta at
    0. The paper's own start is thus an exact identity, and ``start`` makes no difference.

    Args:
        channels: C of the input.
        norm: ``l2``, the paper's choice, or ``l1``.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1 or ``norm`` is not allowed.
    """

    def __init__(self, channels: int, norm: Literal["l2", "l1"] = "l2") -> None:
        super().__init__()
        self.norm = norm
        self.alpha = nn.Parameter(torch.empty(channels))
        self.gamma = nn.Parameter(torch.empty(channels))
        self.beta = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set alpha to 1, gamma and beta to 0."""
        nn.init.ones_(self.alpha)
        nn.init.zeros_(self.gamma)
        nn.init.zeros_(self.beta)

    def forward(self, x: Tensor) -> Tensor:
        exact = precise(x)
        if self.norm == "l2":
            energy = self.alpha * (exact.square().sum((2, 3)) + EPSILON).sqrt()
            typical = (energy.square().mean(1, keepdim=True) + EPSILON).sqrt()
        else:
            energy = self.alpha * exact.abs().sum((2, 3))
            typical = energy.abs().mean(1, keepdim=True) + EPSILON
        weights = 1 + torch.tanh(self.gamma * energy / typical + self.beta)
        return x * weights.to(x.dtype)[:, :, None, None]
