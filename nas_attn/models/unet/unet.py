"""The U-Net."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from nas_attn.errors import NetworkError
from nas_attn.models.unet.layers import Block, up_layer


class UNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with attention modules at some of its locations.

    Level i has base_channels * 2^i channels at 1 / 2^i of the resolution. The attention at ``encoder.i`` refines
    the output of the encoder's block before it goes to the skip and to the pooling, that at ``skip.i`` only the
    skip, and that at ``decoder.i`` the output of the decoder's block. The modules are in a container of their own,
    so the names of the backbone's parameters do not depend on the placement.

    Args:
        in_channels: channels of an image.
        classes: K.
        depth: number of halvings.
        base_channels: C at full resolution.
        norm: ``batch``, ``group`` or ``instance``.
        upsampling: ``transpose`` or ``bilinear``.
        attention: maps a location (``encoder.0``, ``bottleneck``, ``skip.0``, ``decoder.0``) to its module; other
            locations have none.
        gated: locations whose module takes, as a second input, the decoder feature that enters the level.
        gated_finely: those of them whose module takes it up-convolved, at the level's own size.
        instead: locations whose module replaces the second convolution of the block, which is left out.
        beside: locations whose module replaces the second convolution of the block, and takes this convolution as
            a second input.
        around: locations whose module replaces the block, and takes the block as a second input.
    Shape: (N, in_channels, H, W) -> logits (N, K, H, W); H and W of at least 2^depth.
    Raises:
        NetworkError: ``forward`` got images that do not fit.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        depth: int = 4,
        base_channels: int = 16,
        norm: str = "batch",
        upsampling: str = "transpose",
        attention: Mapping[str, nn.Module] | None = None,
        gated: Collection[str] = (),
        instead: Collection[str] = (),
        beside: Collection[str] = (),
        around: Collection[str] = (),
        gated_finely: Collection[str] = (),
    ) -> None:
        super().__init__()
        widths = [base_channels * 2**level for level in range(depth + 1)]
        self.in_channels = in_channels
        self.depth = depth
        self.norm = norm
        self.gated = frozenset(gated)
        self.gated_finely = frozenset(gated_finely)
        self.instead = frozenset(instead)
        self.beside = frozenset(beside)
        self.around = frozenset(around)
        self.encoder = nn.ModuleList(
            self._block(f"encoder.{level}", entering, width)
            for level, (entering, width) in enumerate(zip([in_channels, *widths], widths[:-1], strict=False))
        )
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = self._block("bottleneck", widths[-2], widths[-1])
        self.up = nn.ModuleList(up_layer(upsampling, 2 * width, width) for width in widths[:-1])
        self.decoder = nn.ModuleList(
            self._block(f"decoder.{level}", 2 * width, width) for level, width in enumerate(widths[:-1])
        )
        self.head = nn.Conv2d(base_channels, classes, 1)
        self.attention = nn.ModuleDict({_key(place): module for place, module in (attention or {}).items()})

    def forward(self, images: Tensor) -> Tensor:
        self._check(images)
        feature, skips = images, []
        for level, block in enumerate(self.encoder):
            feature = self._run(f"encoder.{level}", block, feature)
            skips.append(feature)
            feature = self.pool(feature)
        feature = self._run("bottleneck", self.bottleneck, feature)
        for level in reversed(range(self.depth)):
            coarse, skip = feature, skips.pop()
            fine = self.up[level](coarse, skip)
            skip = self._attend(f"skip.{level}", skip, coarse, fine)
            merged = torch.cat([skip, fine], dim=1)
            feature = self._run(f"decoder.{level}", self.decoder[level], merged, coarse, fine)
        logits: Tensor = self.head(feature)
        return logits

    def _block(self, place: str, in_channels: int, out_channels: int) -> Block:
        return Block(in_channels, out_channels, self.norm, replaced=place in self.instead)

    def _run(
        self, place: str, block: nn.Module, x: Tensor, coarse: Tensor | None = None, fine: Tensor | None = None
    ) -> Tensor:
        """Apply a block with the module inside, around or after it."""
        result: Tensor
        if place in self.around:
            result = self.attention[_key(place)](x, block)
        elif place in self.instead:
            result = block(x, self.attention[_key(place)])
        elif place in self.beside:
            result = block(x, partial(self.attention[_key(place)], convolution=block.conv2))
        else:
            result = self._attend(place, block(x), coarse, fine)
        return result

    def _attend(
        self, place: str, feature: Tensor, coarse: Tensor | None = None, fine: Tensor | None = None
    ) -> Tensor:
        if _key(place) not in self.attention:
            return feature
        module = self.attention[_key(place)]
        gate = fine if place in self.gated_finely else coarse
        attended: Tensor = module(feature, gate) if place in self.gated else module(feature)
        return attended

    def _check(self, images: Tensor) -> None:
        """Refuse images that would fail later with a less helpful error."""
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise NetworkError(
                f"images have the shape {tuple(images.shape)}; the network takes (N, {self.in_channels}, H, W)"
            )
        height, width = images.shape[-2:]
        least = 2**self.depth
        if min(height, width) < least:
            raise NetworkError(
                f"an image of {height}x{width} pixels is too small for a depth of {self.depth}; "
                f"both sides must be at least {least}"
            )
        if self.training and self.norm == "batch" and len(images) == 1 and max(height, width) < 2 * least:
            raise NetworkError(
                f"batch normalisation cannot train on a single image of {height}x{width} pixels, whose "
                f"bottleneck is one pixel; take 2 images or more, or one side of at least {2 * least} pixels"
            )


def _key(place: str) -> str:
    """Key of a location in the container, without dots, which would separate the names of nested modules."""
    return place.replace(".", "_")
