"""Channel attention module."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nas_attn.models.attention._check import check_arguments
from nas_attn.models.attention._precise import precise, without_autocast
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Family, Option

ENERGY = Option(
    "energy",
    "product",
    "product: a channel hears those most like it; inverted: those least like it, as in the authors' code",
    choices=("product", "inverted"),
)

KIND = AttentionKind(
    name="cam",
    title="channel attention module",
    paper="Fu et al. 2019, arXiv:1809.02983",
    family=Family.CONTEXT,
    options=(ENERGY,),
    starts_as_identity=True,
)


@attention(KIND)
class ChannelAttention(nn.Module):
    """Add to each channel what all others have to say (Fu et al. 2019, arXiv:1809.02983, eq. 3-4).

        y_c = x_c + beta * sum_d softmax_d(x_c . x_d) x_d

    A channel is a vector of its H * W values, compared as it is: there are no convolutions. Beta is 0 at the
    start, so that the paper's start is an exact identity already (see ``PositionAttention``). The authors' code
    takes max_d(x_c . x_d) - x_c . x_d in place of x_c . x_d, which turns the order of the channels round:
    ``energy=inverted``. The products are sums over H * W positions and far apart, so that they are found in
    float32 whatever the precision of x; softmax makes nearly one-hot weights of them.

    Args:
        channels: C of the input; nothing depends on it.
        energy: ``product`` or ``inverted``.
    Shape: (N, C, H, W) -> (N, C, H, W); time grows with H * W, memory with C^2.
    Raises:
        AttentionError: ``channels`` is below 1 or ``energy`` is neither of the two.
    """

    def __init__(self, channels: int, energy: Literal["product", "inverted"] = "product") -> None:
        super().__init__()
        check_arguments(KIND, {"channels": channels}, {"energy": energy})
        self.sign = 1 if energy == "product" else -1
        self.beta = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set beta to 0."""
        nn.init.zeros_(self.beta)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2)
        with without_autocast(x.device.type):
            energy = torch.bmm(precise(rows), precise(rows).transpose(1, 2))
            # softmax does not see the maximum that the authors' code adds to each row
            heard = torch.bmm((self.sign * energy).softmax(-1).to(rows.dtype), rows)
        return x + self.beta * heard.view(x.shape)
