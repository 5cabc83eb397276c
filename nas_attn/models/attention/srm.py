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
    """Reweight each channel by its own mean and standard deviation (Lee et al. 2019, arXiv:1903.10829, section 3).

        y = x * sigmoid(BN(w_1 mean_HW(x) + w_2 std_HW(x)))

    Each channel has its own w, which starts at 0 as in the authors' code. So the weights start at 1/2 (neutral: at
    1). Batch normalisation is over images (see ``PooledNorm`` for a batch of one).

    Args:
        channels: C of the input.
        unbiased: whether the variance is divided by H * W - 1, as in the authors' code, or by H * W, as in the
            paper. A map of one position has deviation 0 either way.
        neutral: twice the sigmoid, whose argument is 0 at step 0.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1 or ``unbiased`` is not a boolean.
    """

    def __init__(self, channels: int, unbiased: bool = False, neutral: bool = False) -> None:
        super().__init__()
        self.unbiased = unbiased
        self.gain = 2.0 if neutral else 1.0
        self.style = nn.Parameter(torch.empty(channels, 2))
        self.norm = PooledNorm(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set w to 0; the normalisation resets itself."""
        nn.init.zeros_(self.style)

    def forward(self, x: Tensor) -> Tensor:
        exact = precise(x)
        mean = exact.mean((2, 3))
        divisor = max(1, x.shape[2] * x.shape[3] - int(self.unbiased))
        # A vector norm, not the root of a mean: the gradient of a constant channel is then 0, not infinite.
        deviation = torch.linalg.vector_norm(exact - mean[:, :, None, None], dim=(2, 3)) / divisor**0.5
        style = self.style[:, 0] * mean + self.style[:, 1] * deviation
        style = as_weights_of(self.norm, style[:, :, None, None])
        weights: Tensor = self.norm(style).sigmoid()
        return x * scaled(weights, self.gain).to(x.dtype)
