"""Deformable convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_attn.models.attention._layout import in_layout_of
from nas_attn.models.attention._precise import precise
from nas_attn.models.attention._registry import attention
from nas_attn.models.attention._sample import sample
from nas_attn.models.kind import BLOCK_STAGES, AttentionKind, Family, Option

TAPS = 9
PACE = 0.1

KIND = AttentionKind(
    name="dcn",
    title="deformable convolution",
    paper="Zhu et al. 2019, arXiv:1811.11168",
    family=Family.CONVOLUTION,
    stages=BLOCK_STAGES,
    options=(Option("modulated", True, "weigh each tap by what is there (version 2); false: version 1"),),
)


@attention(KIND)
class DeformableConvolution(nn.Module):
    """3x3 convolution that predicts at every position where its taps look (Zhu et al. 2019, arXiv:1811.11168,
    eq. 1; version 1: Dai et al. 2017, arXiv:1703.06211, eq. 2).

        y(p) = sum_k W_k x(p + p_k + dp_k) dm_k

    A 3x3 convolution of x predicts the offsets dp, in pixels, and the weights dm, which pass through a sigmoid. It
    starts at zero and learns at a tenth of the learning rate. x is interpolated between pixels and 0 beyond its
    border. All channels share the offsets.

    Args:
        channels: C of the input.
        modulated: whether there are weights dm.
    Shape: (N, C, H, W) -> (N, C, H, W). All 9 taps are stored at once: memory for 9 maps.
    Raises:
        AttentionError: ``channels`` is below 1 or ``modulated`` is not a boolean.
    """

    def __init__(self, channels: int, modulated: bool = True) -> None:
        super().__init__()
        self.modulated = modulated
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.field = SlowStartConvolution(channels, (3 if modulated else 2) * TAPS)

    def forward(self, x: Tensor) -> Tensor:
        field = self.field(x)
        rows, columns = _taps(precise(field[:, : 2 * TAPS]))
        seen = sample(x, rows.flatten(1, 2), columns.flatten(1, 2), "zeros")  # (N, C, 9 H, W)
        images, channels, height, width = x.shape
        if self.modulated:
            seen = seen * field[:, 2 * TAPS :].sigmoid().reshape(images, 1, TAPS * height, width)
        # (C, 9 C) times (N, 9 C, H W): the convolution as a matrix product.
        seen = seen.to(x.dtype).reshape(images, channels * TAPS, height * width)
        convolved = self.conv.weight.flatten(1).to(x.dtype) @ seen
        return in_layout_of(x, convolved.to(x.dtype).view(x.shape))


def _taps(offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns where the taps look; ``offsets`` has a (row, column) pair for each tap in turn.

    Shape: (N, 18, H, W) -> (N, 9, H, W), (N, 9, H, W).
    """
    height, width = offsets.shape[2:]
    rows = torch.arange(height, device=offsets.device).view(1, 1, height, 1)
    columns = torch.arange(width, device=offsets.device).view(1, 1, 1, width)
    tap = torch.arange(TAPS, device=offsets.device).view(1, TAPS, 1, 1)
    return offsets[:, 0::2] + rows + tap // 3 - 1, offsets[:, 1::2] + columns + tap % 3 - 1


class SlowStartConvolution(nn.Conv2d):
    """3x3 convolution that starts at zero and learns at a tenth of the learning rate: y = 0.1 (W * x + b).

    Sampling positions must not jump. An optimiser with normalised steps, such as Adam, moves 0.1 W a tenth as fast
    as any other weight.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
    Shape: (N, in_channels, H, W) -> (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def reset_parameters(self) -> None:
        """Set all weights to 0."""
        for weights in self.parameters():
            nn.init.zeros_(weights)

    def forward(self, x: Tensor) -> Tensor:
        return PACE * super().forward(x)
