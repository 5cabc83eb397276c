"""Point-wise spatial attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_attn.models.attention._precise import precise
from nas_attn.models.attention._registry import attention, check_batch_statistics
from nas_attn.models.kind import AttentionKind, Family, Option

Normaliser = Literal["count", "softmax"]

KIND = AttentionKind(
    name="psa",
    title="point-wise spatial attention",
    paper="Zhao et al. 2018, ECCV, LNCS 11213:270-286",
    family=Family.CONTEXT,
    options=(
        Option(
            "mode",
            "both",
            "collect: each position weights where it takes from; distribute: where it gives to; both: side by "
            "side",
            choices=("collect", "distribute", "both"),
        ),
        Option("reduction", 4, "channels over the channels that are passed on", minimum=1),
        Option("grid", 16, "side of the map of weights, to which every map is resized", choices=(8, 16, 32)),
        Option(
            "normalise",
            "count",
            "count: weights are divided by the number of positions; softmax: as in the authors' code",
            choices=("count", "softmax"),
        ),
    ),
)


@attention(KIND)
class PointwiseSpatialAttention(nn.Module):
    """Exchange features between positions, with weights that each position predicts from its own feature (Zhao et
    al. 2018, PSANet, section 3).

        y = x + up(relu(BN(W [z^c, z^d])))
        z^c_i = 1/P sum_j a_j(f_i) f_j,  z^d_i = 1/P sum_j b_i(g_j) g_j

    f and g are x after a 1x1 convolution each (with BN and relu), resized to a grid of P = grid * grid positions.
    a and b are two more 1x1 convolutions each; the last has P channels, one for each position. The convolutions
    have no biases. W takes both results, or the one that ``mode`` selects, back to C.

    There are two departures from the paper. First, the paper's masks are over-complete: they cover all offsets on
    a map twice as large, and a position uses a part of them. This module has the compact form of the authors'
    code, with one weight for each pair. That form ties the parameters to one size: hence the fixed grid. Maps are
    resized to it by bilinear interpolation with aligned corners, as the authors' code shrinks its maps. Second,
    the paper concatenates x and the result, 2C channels for the next convolution to mix. Here the result is added,
    which keeps the shape. ``normalise=count`` is the 1/P of the paper's equations; the authors' code has softmax
    over j in its place.

    Args:
        channels: C of the input.
        mode: ``both``, ``collect`` (z^c only) or ``distribute`` (z^d only).
        reduction: C over the channels of f and g, of which there are max(1, C // reduction).
        grid: side of the grid: 8, 16 or 32.
        normalise: ``count`` or ``softmax``.
    Shape: (N, C, H, W) -> (N, C, H, W); N * H * W must be at least 2 in training. Time and memory grow with H * W
        and with grid^4.
    Raises:
        AttentionError: ``channels`` or ``reduction`` is below 1, another option is not allowed, or a batch in
            training is a single 1x1 map.
    """

    def __init__(
        self,
        channels: int,
        mode: Literal["collect", "distribute", "both"] = "both",
        reduction: int = 4,
        grid: Literal[8, 16, 32] = 16,
        normalise: Normaliser = "count",
    ) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        modes = ("collect", "distribute") if mode == "both" else (mode,)
        self.branches = nn.ModuleDict({name: Branch(channels, hidden, grid, name, normalise) for name in modes})
        self.project = nn.Conv2d(len(modes) * hidden, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        check_batch_statistics(KIND.name, x, self.training)
        passed_on = torch.cat([branch(x) for branch in self.branches.values()], 1)
        return x + _resized(functional.relu(self.norm(self.project(passed_on))), (x.shape[2], x.shape[3]))


class Branch(nn.Module):
    """One direction of the attention.

    Args:
        channels: C of the input.
        hidden: channels of the features that are exchanged.
        grid: G, side of the map of weights.
        mode: ``collect``: channel j at position i is the weight of feature j for position i; ``distribute``: that
            of feature i for position j.
        normalise: ``count`` or ``softmax``, over the positions whose features are summed.
    Shape: (N, C, H, W) -> (N, hidden, G, G).
    """

    def __init__(self, channels: int, hidden: int, grid: int, mode: str, normalise: Normaliser) -> None:
        super().__init__()
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True)
        )
        self.weigh = nn.Sequential(
            nn.Conv2d(hidden, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, grid * grid, 1, bias=False),
        )
        self.grid, self.mode, self.normalise = grid, mode, normalise

    def forward(self, x: Tensor) -> Tensor:
        features = _resized(self.reduce(x), (self.grid, self.grid))
        weights = self.weigh(features).flatten(2)  # (N, channel of the mask, position of the mask)
        if self.mode == "distribute":
            weights = weights.transpose(1, 2)
        if self.normalise == "softmax":
            weights = precise(weights).softmax(1).to(weights.dtype)
        else:
            weights = weights / weights.shape[1]
        return torch.bmm(features.flatten(2), weights).view(features.shape)


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """x at another height and width, by bilinear interpolation with aligned corners."""
    # A compiled graph serves other sizes too, so it must not depend on this one.
    if not torch.compiler.is_compiling() and x.shape[2:] == size:
        return x
    return functional.interpolate(x, size, mode="bilinear", align_corners=True)
