"""Sizes of images: shrunk copies of images and their masks, and the smallest size for a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from nas_attn.data.problem import first_few
from nas_attn.data.raster import Values

_SHOWN = 3


def shrink_image(image: Values, longest_side: int | None) -> Values:
    """An image (C, H, W) whose longer side is at most ``longest_side``, filtered against aliasing.

    Args:
        image: uint8 or uint16.
        longest_side: in pixels; None for any.
    """
    size = shrunk_size(image.shape[1], image.shape[2], longest_side)
    if size == image.shape[1:]:
        return image
    values = torch.from_numpy(image.astype(np.float32))[None]
    smaller = F.interpolate(values, size=size, mode="bilinear", antialias=True)[0]
    most = np.iinfo(image.dtype).max
    shrunk: Values = smaller.round().clamp(0, most).numpy().astype(image.dtype)
    return shrunk


def shrink_mask(mask: Values, longest_side: int | None) -> Values:
    """A mask (H, W) whose longer side is at most ``longest_side``, with the nearest value at each position."""
    size = shrunk_size(mask.shape[0], mask.shape[1], longest_side)
    if size == mask.shape:
        return mask
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64) for new, old in zip(size, mask.shape, strict=True)
    )
    shrunk: Values = mask[rows[:, None], columns]
    return shrunk


def shrunk_size(height: int, width: int, longest_side: int | None) -> tuple[int, int]:
    """Height and width of an image after shrinking; unchanged if it is small enough."""
    longer = max(height, width)
    if longest_side is None or longer <= longest_side:
        return height, width
    scale = longest_side / longer
    return max(1, round(height * scale)), max(1, round(width * scale))


@dataclass(frozen=True)
class LeastSide:
    """The smallest image that a network can be evaluated on.

    Args:
        pixels: of the shorter side.
        title: of the network, such as ``a U-Net of depth 4``.
    """

    pixels: int
    title: str

    def problem(self, images: Iterable[tuple[str, int, int]]) -> str | None:
        """The images that are too small, in a line; None if there are none.

        Args:
            images: (name, height, width) of each validation or test image, after shrinking.
        """
        small = [
            f"{name} is {height}x{width}" for name, height, width in images if min(height, width) < self.pixels
        ]
        if not small:
            return None
        return (
            f"images too small for {self.title}, which needs {self.pixels} pixels "
            f"a side: {first_few(small, _SHOWN)}; use a space of a smaller depth or a larger --longest-side"
        )
