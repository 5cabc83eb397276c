"""Global second-order pooling."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._precise import as_weights_of, precise, without_autocast
from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.kind import AttentionKind, Option

PER_ROW = 4

KIND = AttentionKind(
    name="gsop",
    title="global second-order pooling",
    paper="Gao et al. 2019, arXiv:1811.12006",
    options=(
        Option("hidden", 128, "channels whose covariances are taken, but no more than the map has", minimum=2),
        Option("stride", 1, "pixels from one sample of the covariances to the next", choices=(1, 2)),
    ),
    neutral_start=True,
)


@attention(KIND)
class GlobalSecondOrderPooling(nn.Module):
    """Reweight channels by the covariances between them (Gao et al. 2019, arXiv:1811.12006, section 3).

        z = relu(BN(conv_1x1(relu(x)))),  S = cov_HW(z),  y = x * sigmoid(W rows(BN(S)))

    The convolution reduces x to d channels: at most C, but at least 2. S is d x d. ``rows`` turns each row of S
    into 4 numbers, separately from the other rows (a grouped convolution with bias). W, with bias, maps the 4 d
    numbers to C. There is no relu between the two, as in the authors' code, from which the normalisation of rows
    comes too. The covariance divides by H W. The mean is subtracted, where the authors' code multiplies by a
    centring matrix of H W x H W. This is the block's channel form.

    Args:
        channels: C of the input.
        hidden: largest d; 128 in the paper, whose maps have 256 channels and more.
        stride: of the first convolution; the authors' code has 2 in its first stage, where maps are largest.
        neutral: twice the sigmoid, whose argument is 0 at step 0, because W starts at zero.
    Shape: (N, C, H, W) -> (N, C, H, W); N * H * W must be at least 2 in training. On a map of one position all
        covariances are 0.
    Raises:
        AttentionError: ``channels`` is below 1, an option is not allowed, or a batch in training is a
            single 1x1 map.
    """

    def __init__(self, channels: int, hidden: int = 128, stride: Literal[1, 2] = 1, neutral: bool = False) -> None:
        super().__init__()
        hidden = min(hidden, max(2, channels))
        self.reduce = nn.Conv2d(channels, hidden, 1, stride=stride)
        self.reduce_norm = nn.BatchNorm2d(hidden)
        self.row_norm = nn.BatchNorm2d(hidden)
        self.rows = nn.Conv2d(hidden, PER_ROW * hidden, (hidden, 1), groups=hidden)
        self.excite = from_zero(nn.Conv2d(PER_ROW * hidden, channels, 1), neutral)
        self.gain = 2.0 if neutral else 1.0

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(functional.relu(x))
        check_batch_statistics(KIND.name, reduced, self.training)
        covariance = _covariance(functional.relu(self.reduce_norm(reduced)).flatten(2))
        rows = self.row_norm(as_weights_of(self.row_norm, covariance[..., None]))
        weights: Tensor = self.excite(self.rows(rows)).sigmoid()
        return x * scaled(weights, self.gain)


def _covariance(z: Tensor) -> Tensor:
    """Covariances of d channels over P positions: (N, d, P) -> (N, d, d)."""
    exact = precise(z)
    centred = (exact - exact.mean(2, keepdim=True)) / z.shape[2] ** 0.5
    with without_autocast(z.device.type):
        return torch.bmm(centred, centred.transpose(1, 2))
