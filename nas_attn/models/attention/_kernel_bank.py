"""A bank of kernels that each image mixes in its own proportions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._layout import in_layout_of


class KernelBank(nn.Module):
    """Convolve each image with its own mixture of K kernels of 3x3.

        y_n = (sum_k mix_nk W_k) * x_n

    The kernels are mixed first, so the map is convolved only once. Each kernel starts like that of a separate
    convolution.

    Args:
        channels: C.
        kernels: K.
    Shape: (N, C, H, W), (N, K)[, (N, C)] -> (N, C, H, W).
    """

    def __init__(self, channels: int, kernels: int) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.empty(kernels, 9 * channels**2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every kernel."""
        for kernel in self.weight.detach():
            nn.init.kaiming_uniform_(kernel.view(self.channels, self.channels, 3, 3), a=math.sqrt(5))

    def forward(self, x: Tensor, mix: Tensor, bias: Tensor | None = None) -> Tensor:
        images, channels, height, width = x.shape
        kernels = (mix @ self.weight.to(mix.dtype)).view(images * channels, channels, 3, 3)
        each = None if bias is None else bias.flatten()
        # Images become groups of channels, so that one convolution serves all of them.
        convolved = functional.conv2d(
            x.reshape(1, images * channels, height, width), kernels, each, padding=1, groups=images
        )
        return in_layout_of(x, convolved.reshape(x.shape))
