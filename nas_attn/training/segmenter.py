"""Class scores or labels of whole images of any size: how every network is validated, tested and used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_attn.errors import UsageError
from nas_attn.training.images import normalise
from nas_attn.training.overlap import answers
from nas_attn.training.precision import Precision

WHOLE_UP_TO = 2048
"""Images whose longest side is at most this, in pixels, are segmented in one piece unless a tile is given."""

_TILE = 1024
_MARGIN = 128


@dataclass(frozen=True, eq=False)
class Part:
    """The scores of a rectangle of images.

    Args:
        rows: of the images.
        columns: likewise.
        logits: unnormalised scores.
    Shape: logits (N, K, h, w).
    """

    rows: slice
    columns: slice
    logits: Tensor


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A network with everything that is needed to apply it to an image.

    Args:
        module: in eval mode; maps (N, C, H, W) to logits (N, K, H, W).
        mean: of each channel over the training set, in pixel units, on the device of the module.
        std: likewise.
        min_image_size: the smallest side that the network can take; smaller images are padded by reflection, and
            the result is cropped.
        precision: in which the network is called.
        multi_label: whether classes may overlap; labels are then sets of classes, encoded as in ``overlap``.
    """

    module: nn.Module
    mean: Tensor
    std: Tensor
    min_image_size: int = 1
    precision: Precision = field(default_factory=Precision)
    multi_label: bool = False

    @torch.no_grad()
    def logits(self, pixels: Tensor) -> Tensor:
        """Unnormalised scores of images that the network gets together, on its device.

        The scores of images with a side above 2048 pixels are put together from tiles.

        Shape: (N, C, H, W) raw values -> (N, K, H, W).
        """
        if self._tile(pixels, None) is None:
            return self._whole(pixels)
        return self._joined(pixels, None, lambda logits: logits)

    @torch.no_grad()
    def parts(self, pixels: Tensor, tile: int | None = None) -> Iterator[Part]:
        """The scores of images that the network gets together, rectangle by rectangle.

        Images that go through the network in one piece have one rectangle. Otherwise each pixel is taken from the
        tile whose cut edge is farthest from it.

        Args:
            pixels: raw values, on any device.
            tile: as for ``labels``.
        Shape: pixels (N, C, H, W).
        """
        if (tile := self._tile(pixels, tile)) is None:
            yield Part(slice(0, pixels.shape[2]), slice(0, pixels.shape[3]), self._whole(pixels))
            return
        margin = tile_margin(tile, self.min_image_size)
        for rows in _spans(pixels.shape[2], tile, margin, self.min_image_size):
            for columns in _spans(pixels.shape[3], tile, margin, self.min_image_size):
                piece = self._whole(pixels[:, :, rows.tile, columns.tile])
                yield Part(rows.kept, columns.kept, piece[:, :, rows.within, columns.within])

    @torch.inference_mode()
    def labels(
        self, pixels: Tensor, *, tile: int | None = None, height: int | None = None, width: int | None = None
    ) -> Tensor:
        """The most probable class of each pixel of images that the network gets together, on the CPU.

        If classes may overlap: all classes that are more probable than not, as bits.

        Args:
            pixels: raw values, on any device; one image, or the frames of a clip.
            tile: side of the tiles; None segments the images in one piece, or in tiles of 1024 pixels if a side is
                longer than 2048.
            height: of the labels, if it differs from that of the images. Scores are resized before classes are
                compared; with tiles the labels are resized instead.
            width: likewise.
        Shape: (N, C, H, W) -> (N, height, width) uint8, or int32 if more than seven classes may overlap.
        Raises:
            UsageError: the tile is too small to have a margin, or not a multiple of the network's grid.
        """
        size = (height or pixels.shape[2], width or pixels.shape[3])
        if self._tile(pixels, tile) is not None:
            return _enlarged_labels(self._joined(pixels, tile, self._answers), size)
        logits = self._whole(pixels)
        if logits.shape[2:] != size:
            logits = F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
        return self._answers(logits)

    def _joined(self, pixels: Tensor, tile: int | None, of: Callable[[Tensor], Tensor]) -> Tensor:
        """The results of ``of`` for the scores of each part, (N, ..., h, w), put together to whole images."""
        joined = None
        for part in self.parts(pixels, tile):
            made = of(part.logits)
            if joined is None:
                joined = made.new_empty(*made.shape[:-2], *pixels.shape[2:])
            joined[..., part.rows, part.columns] = made
        assert joined is not None
        return joined

    def _answers(self, logits: Tensor) -> Tensor:
        found = answers(logits, self.multi_label)
        return (found if self.multi_label else found.to(torch.uint8)).cpu()

    def _whole(self, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[2:]
        inputs = normalise(pixels.to(self.mean.device), self.mean, self.std)
        inputs = reflect_pad(inputs, self.min_image_size, self.min_image_size)
        with self.precision.autocast(inputs.device):
            logits: Tensor = self.module(self.precision.arrange(inputs))
        return logits[:, :, :height, :width]

    def _tile(self, pixels: Tensor, tile: int | None) -> int | None:
        """Side of the tiles; None if the images go through the network in one piece."""
        longest = max(pixels.shape[2:])
        tile = seen_at_once(longest) if tile is None else tile
        return tile if longest > tile else None


def seen_at_once(longest: int) -> int:
    """The longest side that a network sees at once of images with this longest side."""
    return longest if longest <= WHOLE_UP_TO else _TILE


def reflect_pad(images: Tensor, height: int, width: int) -> Tensor:
    """Images padded at the bottom and the right by reflection at their border pixels, repeated as often as needed.

    Shape: (N, C, H, W) -> (N, C, max(H, height), max(W, width)).
    """
    if images.shape[2] >= height and images.shape[3] >= width:
        return images
    rows = _reflected(max(height, images.shape[2]), images.shape[2], images.device)
    columns = _reflected(max(width, images.shape[3]), images.shape[3], images.device)
    return images[:, :, rows][:, :, :, columns]


def _reflected(number: int, length: int, device: torch.device) -> Tensor:
    """Coordinates 0 .. number - 1, folded into 0 .. length - 1."""
    folded = torch.arange(number, device=device).remainder(max(1, 2 * (length - 1)))
    return torch.where(folded > length - 1, 2 * (length - 1) - folded, folded)


def tile_margin(tile: int, grid: int) -> int:
    """How much of a tile is discarded along each cut, in pixels: 128, or a quarter of smaller tiles.

    If a convolutional network sees no farther than this, tiles give the same result as the whole image. A network
    with global pooling (se, pam ...) sees the whole tile, so its labels can differ from those of the whole image.

    Args:
        tile: side of the tiles, in pixels.
        grid: side of the image region that one pixel of the bottleneck covers, in pixels. Tiles start at multiples
            of it, so that every tile is downsampled on the same grid as the whole image.
    Raises:
        UsageError: the tile is too small to have a margin, or not a multiple of the grid.
    """
    if tile < 4 * grid or tile % grid:
        raise UsageError(f"tile is {tile}; for this network it must be a multiple of {grid}, at least {4 * grid}")
    return min(_MARGIN, tile // 4) // grid * grid


@dataclass(frozen=True)
class _Span:
    """A tile along one axis: its place, the part of it that is kept, and that part's place within the tile."""

    tile: slice
    kept: slice
    within: slice


def _spans(length: int, tile: int, margin: int, grid: int) -> Iterator[_Span]:
    start = kept_from = 0
    while True:
        end = min(start + tile, length)
        kept_to = length if end == length else end - margin
        yield _Span(slice(start, end), slice(kept_from, kept_to), slice(kept_from - start, kept_to - start))
        if end == length:
            return
        kept_from = kept_to
        # The last tile is as large as the others: a narrow one would show the network too little context.
        following = kept_to - margin
        start = min(following, -(-(length - tile) // grid) * grid)


def _enlarged_labels(labels: Tensor, size: tuple[int, int]) -> Tensor:
    if labels.shape[1:] == size:
        return labels
    enlarged = F.interpolate(labels[:, None].double(), size=size, mode="nearest-exact")[:, 0]
    return enlarged.to(labels.dtype)  # a double holds 31 bits exactly
