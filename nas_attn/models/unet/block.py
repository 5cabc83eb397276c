"""The two convolutions of a level."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from nas_attn.errors import NetworkError
from nas_attn.models.unet.norm import norm_layer


class Block(nn.Module):
    """Two times 3x3 convolution, normalisation, ReLU (Ronneberger et al. 2015, arXiv:1505.04597, fig. 1).

    Two departures from the paper, as everywhere today: the convolutions pad, so that H and W stay, and are
    normalised, which makes a bias of their own idle.

    Args:
        in_channels: C of the input.
        out_channels: C of the output, and between the two.
        norm: ``batch``, ``group`` or ``instance``.
        replaced: the second convolution is left out; ``forward`` is given what stands in for it.
    Shape: (N, in_channels, H, W) -> (N, out_channels, H, W).
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm: str = "batch", *, replaced: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm1 = norm_layer(norm, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False) if not replaced else None
        self.norm2 = norm_layer(norm, out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, convolution: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The block; ``convolution`` stands in for the second of its own."""
        second = convolution or self.conv2
        if second is None:
            raise NetworkError("the block's second convolution was left out, and nothing stands in for it")
        x = self.relu(self.norm1(self.conv1(x)))
        activated: Tensor = self.relu(self.norm2(second(x)))
        return activated
