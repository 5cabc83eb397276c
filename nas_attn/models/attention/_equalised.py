"""A linear layer with an equalised learning rate."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class EqualisedLinear(nn.Module):
    """Linear layer with an equalised learning rate (Karras et al. 2018, arXiv:1710.10196, section 4.1).

        y = c (W x + b),  c = gain / sqrt(in_features),  W ~ N(0, 1) and b = 0 at the start

    An optimiser with normalised steps, such as Adam, moves every weight equally far. The output of a layer with
    3,000 inputs would then move 3,000 times as far as any of its weights. The factor c reduces this to sqrt(3,000)
    times.

    Args:
        in_features: width of the input.
        out_features: width of the output.
        gain: scale of the output at the start, for inputs of scale 1; sqrt(2) before a rectifier.
        bias: whether the layer has b.
        from_zero: whether W starts at 0.
    Shape: (N, in_features) -> (N, out_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        gain: float = 1.0,
        bias: bool = True,
        from_zero: bool = False,
    ) -> None:
        super().__init__()
        self.factor = gain / math.sqrt(in_features)
        self.from_zero = from_zero
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw W, or set it to 0; set b to 0."""
        if self.from_zero:
            nn.init.zeros_(self.weight)
        else:
            nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * functional.linear(x, self.weight, self.bias)
