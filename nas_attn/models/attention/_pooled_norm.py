"""Batch normalisation of pooled maps."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class PooledNorm(nn.Module):
    """Batch normalisation that also accepts a single value per channel.

    A map pooled to 1x1 has one value per image and channel. With one image in a training batch there is no
    variance, and PyTorch raises an error. Here the running statistics normalise this value, as in evaluation, and
    are not updated. With two values or more this is ``nn.BatchNorm2d``.

    Args:
        channels: C.
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return functional.batch_norm(
                x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
            )
        normalised: Tensor = norm(x)
        return normalised
