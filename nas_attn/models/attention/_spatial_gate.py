"""CBAM's weights of positions, shared by spatial attention and triplet attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_attn.models.attention._neutral import from_zero, scaled


class SpatialGate(nn.Module):
    """Weigh positions by the maximum and the mean over channels (Woo et al. 2018, arXiv:1807.06521, eq. 3).

        sigmoid(BN(conv_kxk([max_C(x), mean_C(x)])))

    The convolution has no bias. The running statistics have a momentum of 0.01, as in the authors' code.

    Args:
        kernel_size: k, odd.
        norm: whether batch normalisation follows the convolution.
        neutral: weights of mean 1, which are 1 for every input at step 0.
    Shape: (N, C, H, W) -> (N, 1, H, W); with ``norm``, N * H * W must be at least 2 in training.
    """

    def __init__(self, kernel_size: int, norm: bool = True, neutral: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01) if norm else nn.Identity()
        from_zero(self.norm if norm else self.conv, neutral)
        self.gain = 2.0 if neutral else 1.0

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat((x.amax(1, keepdim=True), x.mean(1, keepdim=True)), 1)
        weights: Tensor = self.norm(self.conv(pooled)).sigmoid()
        return scaled(weights, self.gain)
