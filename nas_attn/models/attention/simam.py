"""Parameter-free attention."""

from __future__ import annotations

import math

from torch import Tensor, nn

from nas_attn.models.attention._neutral import scaled
from nas_attn.models.attention._precise import precise
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Option

KIND = AttentionKind(
    name="simam",
    title="simple, parameter-free attention",
    paper="Yang et al. 2021, ICML, PMLR 139:11863",
    options=(Option("regulariser", 1e-4, "lambda; the authors' ImageNet runs take 0.1", minimum=1e-8),),
    neutral_start=True,
)


@attention(KIND)
class SimpleAttention(nn.Module):
    """Reweight each position by its distance from the mean of its channel (Yang et al. 2021, eq. 5 and 6).

        y = x * sigmoid(d / (4 (v + lambda)) + 1/2),  d = (x - mean_HW(x))^2,  v = sum_HW(d) / (H W - 1)

    The argument of the sigmoid is 1 / e, the inverse of the minimal energy of equation 5. v is the variance as in
    the authors' code. The weights are computed in fp32 or better.

    Args:
        channels: C of the input; not used.
        regulariser: lambda.
        neutral: the gate is divided by its value at the usual distance, where d = v.
    Shape: (N, C, H, W) -> (N, C, H, W); on a map of one position d and v are 0.
    Raises:
        AttentionError: ``channels`` is below 1 or ``regulariser`` is not allowed.
    """

    def __init__(self, channels: int, regulariser: float = 1e-4, neutral: bool = False) -> None:
        super().__init__()
        self.regulariser = regulariser
        self.gain = 1 + math.exp(-0.75) if neutral else 1.0

    def forward(self, x: Tensor) -> Tensor:
        exact = precise(x)
        distance = (exact - exact.mean((2, 3), keepdim=True)).square()
        others = max(1, x.shape[2] * x.shape[3] - 1)  # a map of one position has no others
        variance = distance.sum((2, 3), keepdim=True) / others
        weights = (distance / (4 * (variance + self.regulariser)) + 0.5).sigmoid()
        return x * scaled(weights, self.gain).to(x.dtype)
