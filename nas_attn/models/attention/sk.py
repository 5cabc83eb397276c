"""Selective kernel convolution."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._perceptron import hidden_width
from nas_attn.models.attention._pooled_norm import PooledNorm
from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.kind import BLOCK_STAGES, AttentionKind, Family, Option

LEAST_IN_GROUP = 4

KIND = AttentionKind(
    name="sk",
    title="selective kernel convolution (SKNet)",
    paper="Li et al. 2019, arXiv:1903.06586",
    family=Family.CONVOLUTION,
    stages=BLOCK_STAGES,
    options=(
        Option("branches", 2, "M, sizes of kernel to choose from", minimum=2, maximum=4),
        Option("groups", 32, "G, groups of each convolution, of 4 channels at least", minimum=1),
        Option("reduction", 16, "r, channels over hidden channels", minimum=1),
        Option("min_hidden", 32, "L, least hidden channels", minimum=1),
        Option("mix", True, "whether a 1x1 convolution follows, as in SKNet's unit: groups alone never meet"),
    ),
)


@attention(KIND)
class SelectiveKernel(nn.Module):
    """Convolve at several scales and let each channel weigh them (Li et al. 2019, arXiv:1903.06586, section 3.1).

        u_m = relu(BN(K_m * x)), K_m 3x3 in G groups with its taps m pixels apart
        z = relu(BN(W mean_HW(u_1 + ... + u_M)))
        y = sum_m a_m u_m,  a = softmax over m of (V_1 z, ..., V_M z)

    z has max(C // r, L) elements. W and the V have no bias. The number of groups is the largest that divides both
    C and G and leaves each group 4 channels, as in the paper's narrowest stage: fewer channels would make it a
    depthwise convolution. In SKNet's unit a 1x1 convolution follows; with ``mix`` it does here too. ``PooledNorm``
    accepts a batch of one in z.

    Args:
        channels: C of the input.
        branches: M.
        groups: G.
        reduction: r.
        min_hidden: L.
        mix: whether a 1x1 convolution without bias follows.
    Shape: (N, C, H, W) -> (N, C, H, W); N * H * W must be at least 2 in training.
    Raises:
        AttentionError: ``channels`` is below 1, an option is not allowed, or a batch in training is a
            single 1x1 map.
    """

    def __init__(
        self,
        channels: int,
        branches: int = 2,
        groups: int = 32,
        reduction: int = 16,
        min_hidden: int = 32,
        mix: bool = True,
    ) -> None:
        super().__init__()
        hidden = hidden_width(channels, reduction, min_hidden)
        shared = _groups(channels, groups)
        self.branches = nn.ModuleList(_branch(channels, apart, shared) for apart in range(1, branches + 1))
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=False)
        self.norm = PooledNorm(hidden)
        self.select = nn.Conv2d(hidden, branches * channels, 1, bias=False)
        self.mix = nn.Conv2d(channels, channels, 1, bias=False) if mix else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        check_batch_statistics(KIND.name, x, self.training)
        maps = [branch(x) for branch in self.branches]
        pooled = sum(maps[1:], maps[0]).mean((2, 3), keepdim=True)
        asked = self.select(functional.relu(self.norm(self.squeeze(pooled))))
        weights = asked.unflatten(1, (len(maps), -1)).softmax(1).to(x.dtype)
        chosen: Tensor = sum((weights[:, m] * one for m, one in enumerate(maps[1:], 1)), weights[:, 0] * maps[0])
        mixed: Tensor = self.mix(chosen.to(x.dtype))
        return mixed


def _groups(channels: int, most: int) -> int:
    """Largest divisor of both numbers that leaves each group 4 channels; 1 if there are fewer channels."""
    shared = math.gcd(channels, most)
    wide = min(LEAST_IN_GROUP, channels)
    return max(groups for groups in range(1, shared + 1) if shared % groups == 0 and channels // groups >= wide)


def _branch(channels: int, apart: int, groups: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=apart, dilation=apart, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )
