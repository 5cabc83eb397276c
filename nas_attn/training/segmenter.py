"""Labels of whole images, of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_attn.errors import UsageError
from nas_attn.training.normalise import Normalisation
from nas_attn.training.reflect_pad import enlarged

WHOLE_UP_TO = 2048
"""Images with no side above this many pixels are segmented in one piece unless a tile is asked for."""

_TILE = 1024
_MARGIN = 128


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A network with what it takes to give it an image.

    Args:
        module: in eval mode; maps (N, C, H, W) to logits (N, K, H, W).
        normalisation: with which it was trained.
        min_image_size: the smallest side that it can take; smaller images are continued by reflection, and
            the labels cut back.
    """

    module: nn.Module
    normalisation: Normalisation
    min_image_size: int

    def logits(self, pixels: Tensor) -> Tensor:
        """Unnormalised scores of images in one piece, in float32.

        Shape: (N, C, H, W) raw values -> (N, K, H, W).
        """
        height, width = pixels.shape[2:]
        inputs = enlarged(self.normalisation.apply(pixels), self.min_image_size, self.min_image_size)
        logits: Tensor = self.module(inputs)
        return logits[:, :, :height, :width].float()

    @torch.inference_mode()
    def labels(
        self, pixels: Tensor, *, tile: int | None = None, height: int | None = None, width: int | None = None
    ) -> Tensor:
        """The most probable class of each pixel of one image, on the CPU.

        Args:
            pixels: raw values, on any device.
            tile: side of the tiles; None to segment the image in one piece, or in tiles of 1024 pixels where
                a side is longer than 2048.
            height: of the labels, where it is not that of the image: scores are enlarged before they are
                compared.
            width: likewise.
        Shape: (C, H, W) -> (height, width) uint8.
        Raises:
            UsageError: the tile is too small to have a margin.
        """
        return self.labels_together(pixels[None], tile=tile, height=height, width=width)[0]

    @torch.inference_mode()
    def labels_together(
        self, pixels: Tensor, *, tile: int | None = None, height: int | None = None, width: int | None = None
    ) -> Tensor:
        """The same of the images that the network is given together, such as the frames of a clip.

        Shape: (N, C, H, W) -> (N, height, width) uint8.
        Raises:
            UsageError: the tile is too small to have a margin.
        """
        size = (height or pixels.shape[2], width or pixels.shape[3])
        if tile is None and max(pixels.shape[2:]) > WHOLE_UP_TO:
            tile = _TILE
        if tile is not None and max(pixels.shape[2:]) > tile:
            return _enlarged_labels(self._tiled(pixels, tile), size)
        logits = self.logits(self._at_home(pixels))
        if logits.shape[2:] != size:
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return logits.argmax(1).to(torch.uint8).cpu()

    def _tiled(self, pixels: Tensor, tile: int) -> Tensor:
        """Labels from overlapping tiles; each pixel from the tile whose cut it lies farthest from."""
        margin = tile_margin(tile, self.min_image_size)
        labels = torch.empty(pixels.shape[0], *pixels.shape[2:], dtype=torch.uint8)
        for rows in _spans(pixels.shape[2], tile, margin, self.min_image_size):
            for columns in _spans(pixels.shape[3], tile, margin, self.min_image_size):
                piece = pixels[:, :, rows.start : rows.end, columns.start : columns.end]
                found = self.logits(self._at_home(piece)).argmax(1).to(torch.uint8).cpu()
                labels[:, rows.kept, columns.kept] = found[:, rows.within, columns.within]
        return labels

    def _at_home(self, pixels: Tensor) -> Tensor:
        device = next((parameter.device for parameter in self.module.parameters()), pixels.device)
        return pixels.to(device)


def tile_margin(tile: int, grid: int) -> int:
    """How much of a tile is thrown away along each cut, in pixels: 128, or a quarter of smaller tiles.

    Where that reaches as far as a convolutional network sees, tiles give what the whole image gives. A network
    with global pooling (se, pam ...) sees the whole tile; its labels can differ from those of the whole image.

    Args:
        tile: side of the tiles, in pixels.
        grid: pixels of the image that one pixel of the bottleneck stands for; tiles begin at multiples of it,
            so that every tile is halved at the same places as the whole image.
    Raises:
        UsageError: the tile is too small to have a margin, or no multiple of the grid.
    """
    if tile < 4 * grid or tile % grid:
        raise UsageError(f"tile is {tile}; for this network it must be a multiple of {grid}, at least {4 * grid}")
    return min(_MARGIN, tile // 4) // grid * grid


@dataclass(frozen=True)
class _Span:
    """A tile along one axis: where it lies, and which part of its labels is kept."""

    start: int
    end: int
    kept_from: int
    kept_to: int

    @property
    def kept(self) -> slice:
        return slice(self.kept_from, self.kept_to)

    @property
    def within(self) -> slice:
        return slice(self.kept_from - self.start, self.kept_to - self.start)


def _spans(length: int, tile: int, margin: int, grid: int) -> Iterator[_Span]:
    if length <= tile:
        yield _Span(0, length, 0, length)
        return
    start = kept_from = 0
    while True:
        end = min(start + tile, length)
        kept_to = length if end == length else end - margin
        yield _Span(start, end, kept_from, kept_to)
        if end == length:
            return
        kept_from = kept_to
        # The last tile is as large as the others: a sliver would show the network too little.
        following = kept_to - margin
        start = min(following, -(-(length - tile) // grid) * grid)


def _enlarged_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    if labels.shape[1:] == size:
        return labels
    return F.interpolate(labels[:, None].float(), size=size, mode="nearest-exact")[:, 0].to(torch.uint8)
