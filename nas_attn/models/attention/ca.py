"""Coordinate attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._perceptron import hidden_width
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import MIN_HIDDEN, AttentionKind, Option

KIND = AttentionKind(
    name="ca",
    title="coordinate attention",
    paper="Hou et al. 2021, arXiv:2103.02907",
    options=(Option("reduction", 32, "channels over hidden channels", minimum=1), MIN_HIDDEN),
    neutral_start=True,
)


@attention(KIND)
class CoordinateAttention(nn.Module):
    """Reweight each channel's rows and columns (Hou et al. 2021, arXiv:2103.02907, eq. 4-9).

        f = hswish(BN(F1([mean_W(x), mean_H(x)])))
        y = x * sigmoid(F_h(f's H rows)) * sigmoid(F_w(f's W columns))          neutral: 4 x in place of x

    F1, F_h and F_w are 1x1 convolutions with bias. Both directions share F1 and the batch statistics.

    Args:
        channels: C of the input.
        reduction: bottleneck ratio; the hidden width is max(min_hidden, C // reduction).
        min_hidden: least hidden width; 8 as in the authors' code.
        neutral: gates of mean 1 whose last layer starts at zero (see ``from_zero``).
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels``, ``reduction`` or ``min_hidden`` is below 1.
    """

    def __init__(self, channels: int, reduction: int = 32, min_hidden: int = 8, neutral: bool = False) -> None:
        super().__init__()
        hidden = hidden_width(channels, reduction, min_hidden)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.norm = nn.BatchNorm2d(hidden)
        self.excite_rows = from_zero(nn.Conv2d(hidden, channels, 1), neutral)
        self.excite_columns = from_zero(nn.Conv2d(hidden, channels, 1), neutral)
        self.gain = 4.0 if neutral else 1.0

    def forward(self, x: Tensor) -> Tensor:
        height = x.shape[2]
        strips = torch.cat((x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)), 2)
        squeezed = functional.hardswish(self.norm(self.squeeze(strips)))
        rows, columns = torch.tensor_split(squeezed, (height,), 2)
        row_weights: Tensor = self.excite_rows(rows).sigmoid()
        column_weights: Tensor = self.excite_columns(columns.transpose(2, 3)).sigmoid()
        return x * scaled(row_weights, self.gain) * column_weights
