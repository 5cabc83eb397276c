"""Self-calibrated convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._pooled_norm import PooledNorm
from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.kind import BLOCK_STAGES, AttentionKind, Family, Option

KIND = AttentionKind(
    name="scconv",
    title="self-calibrated convolution (SCNet)",
    paper="Liu et al. 2020, CVPR, p. 10093",
    family=Family.CONVOLUTION,
    stages=BLOCK_STAGES,
    options=(Option("pooling", 4, "r, side of the window of the coarse view", minimum=1),),
)


@attention(KIND)
class SelfCalibratedConvolution(nn.Module):
    """3x3 convolution that calibrates half of the channels by a coarse view of the map (Liu et al. 2020, CVPR,
    section 3.2).

        y_1 = K_4 * (BN(K_3 * x_1) sigmoid(x_1 + up(BN(K_2 * pool_r(x_1)))))
        y_2 = K_1 * x_2
        y = [y_1, y_2]

    x_1 and x_2 are the halves of the channels, K_i are 3x3 kernels, ``pool`` is an average, and ``up`` takes the
    nearest neighbour. The equations leave out normalisation; its places are those of the authors' code. There K_1
    and K_4 are normalised too; here the block's own normalisation, which follows, does this. With an odd number of
    channels x_2 has one more. With a single channel there is no x_2. If the map is smaller than the window, the
    window shrinks to the map.

    Args:
        channels: C of the input.
        pooling: r.
    Shape: (N, C, H, W) -> (N, C, H, W); N * H * W must be at least 2 in training.
    Raises:
        AttentionError: ``channels`` or ``pooling`` is below 1, or a batch in training is a single 1x1 map.
    """

    def __init__(self, channels: int, pooling: int = 4) -> None:
        super().__init__()
        self.pooling = pooling
        calibrated = max(1, channels // 2)
        self.parts = (calibrated, channels - calibrated)
        self.k1 = _convolution(self.parts[1]) if self.parts[1] else nn.Identity()
        self.k2 = nn.Sequential(_convolution(calibrated), PooledNorm(calibrated))
        self.k3 = nn.Sequential(_convolution(calibrated), nn.BatchNorm2d(calibrated))
        self.k4 = _convolution(calibrated)

    def forward(self, x: Tensor) -> Tensor:
        check_batch_statistics(KIND.name, x, self.training)
        calibrated, plain = torch.split(x, list(self.parts), 1)
        window = [min(self.pooling, side) for side in x.shape[2:]]
        coarse = self.k2(functional.avg_pool2d(calibrated, window))
        weights = (calibrated + functional.interpolate(coarse, size=x.shape[2:])).sigmoid()
        return torch.cat([self.k4(self.k3(calibrated) * weights), self.k1(plain).to(x.dtype)], 1).to(x.dtype)


def _convolution(channels: int) -> nn.Module:
    return nn.Conv2d(channels, channels, 3, padding=1, bias=False)
