"""Gather-excite."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from nas_attn.errors import AttentionError
from nas_attn.models.attention._neutral import from_zero, scaled
from nas_attn.models.attention._perceptron import ChannelPerceptron, hidden_width
from nas_attn.models.attention._pooled_norm import PooledNorm
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import MIN_HIDDEN, AttentionKind, Option

REDUCTION = 16
TYPICAL = 1 / (1 + math.exp(-((2 * math.pi) ** -0.5)))
"""Sigmoid of 0.4, the mean of a normalised and rectified map."""

KIND = AttentionKind(
    name="ge",
    title="gather-excite",
    paper="Hu et al. 2018, arXiv:1810.12348",
    options=(
        Option(
            "extent",
            8,
            "pixels from one gathered value to the next; global, one value for the map, takes parameters=none",
            choices=(2, 4, 8, "global"),
        ),
        Option(
            "parameters",
            "none",
            "none: averages (theta-); conv: depthwise convolutions (theta); mlp: and a perceptron (theta+)",
            choices=("none", "conv", "mlp"),
        ),
        MIN_HIDDEN,
    ),
    neutral_start=True,
    neutral_version=2,
)


@attention(KIND)
class GatherExcite(nn.Module):
    """Reweight each position by features gathered around it (Hu et al. 2018, arXiv:1810.12348, section 3).

        y = x * sigmoid(interp(f(gather(x))))

    ``none`` gathers averages over windows of 2e - 1 pixels, e pixels apart; pixels outside the map do not count.
    ``conv`` gathers with log2(e) depthwise 3x3 convolutions of stride 2, each normalised, with relu between them.
    ``mlp`` gathers like ``conv``, and f is the perceptron of SE at each gathered position, with a reduction of 16.
    Otherwise f is the identity. Interpolation takes the nearest value.

    The paper's global extent with parameters is a convolution as large as the map. It would fit one size of map
    only, so it is left out. If a map is gathered into a single value, the running statistics normalise a batch of
    one (see ``PooledNorm``).

    Args:
        channels: C of the input.
        extent: e: 2, 4, 8 or ``global``.
        parameters: ``none``, ``conv`` or ``mlp``.
        min_hidden: least hidden channels of the perceptron.
        neutral: the gate is divided by its value at the start; its last layer, if it has one, starts at zero.
    Shape: (N, C, H, W) -> (N, C, H, W).
    Raises:
        AttentionError: ``channels`` is below 1, an option is not allowed, or ``extent`` is ``global`` and
            ``parameters`` is not ``none``.
    """

    def __init__(
        self,
        channels: int,
        extent: Literal[2, 4, 8, "global"] = 8,
        parameters: Literal["none", "conv", "mlp"] = "none",
        min_hidden: int = 8,
        neutral: bool = False,
    ) -> None:
        super().__init__()
        if extent == "global" and parameters != "none":
            raise AttentionError(
                f"ge: extent=global needs parameters=none and not {parameters}: a convolution over the whole map "
                "would fit maps of one size only; use an extent of 2, 4 or 8"
            )
        self.extent = extent
        hidden = hidden_width(channels, REDUCTION, min_hidden)
        self.perceptron = ChannelPerceptron(channels, hidden, neutral=neutral) if parameters == "mlp" else None
        self.gather = None
        if extent != "global" and parameters != "none":
            self.gather = _convolutions(channels, extent, from_zero_on=neutral and parameters == "conv")
        self.gain = (1 / TYPICAL if parameters == "none" else 2.0) if neutral else 1.0

    def forward(self, x: Tensor) -> Tensor:
        gathered = _averages(x, self.extent) if self.gather is None else self.gather(x)
        if self.perceptron is not None:
            gathered = self.perceptron(gathered.movedim(1, -1)).movedim(-1, 1)
        weights = scaled(gathered.sigmoid(), self.gain)
        return x * functional.interpolate(weights, size=x.shape[2:], mode="nearest")


def _averages(x: Tensor, extent: int | Literal["global"]) -> Tensor:
    """(N, C, H, W) -> (N, C, ceil(H / extent), ceil(W / extent)), or (N, C, 1, 1)."""
    if extent == "global":
        return x.mean((2, 3), keepdim=True)
    reach = extent - 1
    return functional.avg_pool2d(x, 2 * reach + 1, stride=extent, padding=reach, count_include_pad=False)


def _convolutions(channels: int, extent: int, from_zero_on: bool) -> nn.Sequential:
    """Depthwise convolutions that halve the map until it is ``extent`` times smaller.

    Args:
        channels: C.
        extent: a power of two.
        from_zero_on: whether the last normalisation starts at zero.
    """
    steps: list[nn.Module] = []
    for _ in range(extent.bit_length() - 1):
        convolution = nn.Conv2d(channels, channels, 3, stride=2, padding=1, groups=channels, bias=False)
        norm = PooledNorm(channels)
        steps += [convolution, norm, nn.ReLU()]
    from_zero(norm.norm, from_zero_on)
    return nn.Sequential(*steps[:-1])
