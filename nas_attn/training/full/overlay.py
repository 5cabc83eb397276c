"""Labels drawn over their image."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

# Okabe and Ito (2008): distinct with every common kind of colour blindness; black is left out.
PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_FILL = 0.35
_LETTERS = 16
_PIXELS_PER_CONTOUR_PIXEL = 512


def colour_of(label: int) -> tuple[int, int, int]:
    """Red, green and blue of a class, from 1 on; class 0, the background, is not drawn."""
    return PALETTE[(label - 1) % len(PALETTE)]


def draw_overlay(pixels: Tensor, labels: Tensor) -> Image.Image:
    """The image with every class except 0 tinted and outlined in its colour.

    Args:
        pixels: (C, H, W), raw values; the first three channels are shown, or only the first if there are fewer.
            Values of more than 8 bits are stretched from their 1st to their 99th percentile.
        labels: (H, W) class indices.
    """
    canvas = _visible(pixels).astype(np.float32)
    classes = labels.cpu().numpy()
    colours = np.array([(0, 0, 0), *(colour_of(label) for label in range(1, 256))], dtype=np.float32)[classes]
    drawn = classes > 0
    canvas[drawn] += _FILL * (colours[drawn] - canvas[drawn])
    contour = _contour(labels.cpu())
    canvas[contour] = colours[contour]
    return Image.fromarray(canvas.round().clip(0, 255).astype(np.uint8), "RGB")


def draw_overlapping(pixels: Tensor, planes: Tensor) -> Image.Image:
    """The image with every class tinted and outlined in its colour, later classes over earlier ones.

    Args:
        pixels: (C, H, W), as for ``draw_overlay``.
        planes: where each class is present, (K, H, W).
    """
    canvas = _visible(pixels).astype(np.float32)
    found = planes.cpu()
    for index, plane in enumerate(found.numpy(), start=1):
        canvas[plane] += _FILL * (np.array(colour_of(index), dtype=np.float32) - canvas[plane])
    for index, one in enumerate(found, start=1):
        canvas[_contour(one)] = colour_of(index)
    return Image.fromarray(canvas.round().clip(0, 255).astype(np.uint8), "RGB")


def draw_legend(classes: tuple[str, ...], *, multi_label: bool = False) -> Image.Image:
    """Each class and its colour. The first class, the background, is left out unless classes may overlap."""
    if multi_label:
        classes = ("", *classes)
    font = ImageFont.load_default(_LETTERS)
    row, margin = 2 * _LETTERS, _LETTERS // 2
    width = max(int(font.getlength(name)) for name in classes[1:]) + row + 2 * margin
    legend = Image.new("RGB", (width, row * (len(classes) - 1) + margin), "white")
    brush = ImageDraw.Draw(legend)
    for label, name in enumerate(classes[1:], start=1):
        top = (label - 1) * row + margin
        brush.rectangle((margin, top, row - margin, top + row - 2 * margin), fill=colour_of(label))
        brush.text((row + margin, top + margin), name, fill="black", font=font, anchor="lm")
    return legend


def _visible(pixels: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The image as (H, W, 3) in 8 bits."""
    shown = pixels[:3] if len(pixels) >= 3 else pixels[:1].expand(3, -1, -1)
    values = shown.cpu().permute(1, 2, 0).numpy()
    if pixels.dtype == torch.uint8:
        return values.copy()
    low, high = np.percentile(values, (1, 99))
    stretched: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = (
        ((values - low) / max(high - low, 1) * 255).clip(0, 255).astype(np.uint8)
    )
    return stretched


def _contour(labels: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """(H, W): where a class other than 0 meets another class; wider in large images."""
    reach = max(1, round(max(labels.shape) / _PIXELS_PER_CONTOUR_PIXEL))
    values = labels[None, None].float()
    highest = F.max_pool2d(values, 2 * reach + 1, stride=1, padding=reach)
    lowest = -F.max_pool2d(-values, 2 * reach + 1, stride=1, padding=reach)
    contour: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = ((highest != lowest) & (values > 0))[0, 0].numpy()
    return contour
