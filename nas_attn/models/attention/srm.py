"""Style-based recalibration."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_attn.models.attention._neutral import scaled
from nas_attn.models.attention._pooled_norm import PooledNorm
from nas_attn.models.attention._precise import as_weights_of, precise
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Option

KIND = AttentionKind(
    name="srm",
    title="style-based recalibration module",
    paper="Lee et al. 2019, arXiv:1903.10829",
    options=(
        Option("unbiased", False, "whether deviations divide by H*W - 1, as in the authors' code, and not by H*W"),
    ),
    neutral_start=True,
)


@attention(KIND)
class StyleRecalibration(nn.Module):
    """Reweight each channel by its own mean and deviation (Lee et al. 2019, arXiv:1903.10829, section 3).

        y = x * sigmoid(BN(w_1 mean_HW(x) + w_2 std_HW(x)))

    Each channel has a w of its own, 0 at the start (the authors' code), so that the weights begin at 1/2
    (neutral: at twice that). The
    batch normalisation is over images: see ``PooledNorm`` for a batch of one.

    Args:
        channels: C of the input.
        unbiased: the divisor of the variance: H * W, as in the paper, or H * W - 1, as in the authors' code. A map
            of one position has deviation 0 either way.
        neutral: twice the sigmoid, of 0 at step 0.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1 or ``unbiased`` is not a truth value.
    """

    def __init__(self, channels: int, unbiased: bool = False, neutral: bool = False) -> None:
        super().__init__()
        self.unbiased = unbiased
        self.gain = 2.0 if neutral else 1.0
        self.style = nn.Parameter(torch.empty(channels, 2))
        self.norm = PooledNorm(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set w to 0; the normalisation has a start of its own."""
        nn.init.zeros_(self.style)

    def forward(self, x: Tensor) -> Tensor:
        exact = precise(x)
        mean = exact.mean((2, 3))
        divisor = max(1, x.shape[2] * x.shape[3] - int(self.unbiased))
        # A norm, and not the root of a mean: its gradient is 0, not infinite, where a channel is constant.
        deviation = torch.linalg.vector_norm(exact - mean[:, :, None, None], dim=(2, 3)) / divisor**0.5
        style = self.style[:, 0] * mean + self.style[:, 1] * deviation
        style = as_weights_of(self.norm, style[:, :, None, None])
        weights: Tensor = self.norm(style).sigmoid()
        return x * scaled(weights, self.gain).to(x.dtype)
