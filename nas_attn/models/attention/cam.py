"""Channel attention module."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from nas_attn.models.attention._precise import precise, without_autocast
from nas_attn.models.attention._registry import attention
from nas_attn.models.kind import AttentionKind, Family, Option

ENERGY = Option(
    "energy",
    "inverted",
    "inverted: a channel attends to those least like it, as in the authors' code; product: to those most like it",
    choices=("inverted", "product"),
)
COMPARE = Option(
    "compare",
    "sum",
    "sum: over all positions, so larger images have sharper weights; mean: the same at every image size",
    choices=("sum", "mean"),
)

KIND = AttentionKind(
    name="cam",
    title="channel attention module",
    paper="Fu et al. 2019, arXiv:1809.02983",
    family=Family.CONTEXT,
    options=(ENERGY, COMPARE),
    starts_as_identity=True,
)


@attention(KIND)
class ChannelAttention(nn.Module):
    """Add to each channel a weighted sum of all channels (Fu et al. 2019, arXiv:1809.02983, eq. 3-4).

        y_c = x_c + beta * sum_d softmax_d(x_c . x_d) x_d

    A channel is a vector of its H * W values, compared directly: there are no convolutions. Beta starts at 0, so
    the paper's own start is an exact identity (see ``PositionAttention``). The authors' code uses
    max_d(x_c . x_d) - x_c . x_d instead of x_c . x_d, which reverses the order of the channels. The default here,
    ``energy=inverted``, does the same.

    The products are sums over H * W positions and differ widely, so they are computed in float32 or better for
    every precision of x. Softmax makes nearly one-hot weights of them, which are sharper on larger images. A
    module trained on crops therefore gives different results on whole images. ``compare=mean`` divides by H * W
    and behaves alike on both.

    Args:
        channels: C of the input; not used.
        energy: ``inverted`` or ``product``.
        compare: ``sum`` or ``mean``.
    Shape: (N, C, H, W) -> (N, C, H, W); time grows with H * W, memory with C^2.
    Raises:
        AttentionError: ``channels`` is below 1 or an option is not allowed.
    """

    def __init__(
        self,
        channels: int,
        energy: Literal["inverted", "product"] = "inverted",
        compare: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__()
        self.averaged = compare == "mean"
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
            if self.averaged:
                energy = energy / rows.shape[2]
            # Softmax ignores the maximum that the authors' code adds to each row.
            heard = torch.bmm((self.sign * energy).softmax(-1).to(rows.dtype), rows)
        return x + self.beta * heard.view(x.shape)
