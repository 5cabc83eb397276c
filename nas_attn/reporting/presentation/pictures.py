"""Pictures of a panel: labels over an image, and attention maps in colours."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from nas_attn.data import IGNORED
from nas_attn.reporting.page import Panel, Picture
from nas_attn.training.full.overlay import colour_of, draw_overlapping, draw_overlay
from nas_attn.training.overlap import has_class

_LONGEST = 384
_STRIP, _LETTERS = 220, 14
# Cividis (Nuñez et al. 2018): from dark blue to yellow, read alike with and without colour blindness.
_CIVIDIS = np.array(
    [(0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115), (138, 134, 120), (166, 156, 117),
     (195, 179, 105), (225, 204, 85), (254, 232, 56)],
    dtype=np.float64,
)  # fmt: skip
_WRONG = (213, 94, 0)
_NOTHING = (138, 143, 152)


def class_colours(classes: Sequence[str], *, multi_label: bool = False) -> tuple[tuple[str, str], ...]:
    """Every class with its colour as ``#rrggbb``, without the background, which overlapping classes do not
    have."""
    classes = ("", *classes) if multi_label else classes
    return tuple(
        (name, "#" + "".join(f"{part:02x}" for part in colour_of(label)))
        for label, name in enumerate(classes)
        if label
    )


def draw_labels(
    pixels: Tensor, labels: Tensor, *, classes: Sequence[str], caption: str, multi_label: bool = False
) -> Picture:
    """Labels drawn over their image; ignored pixels are left out.

    Args:
        pixels: (C, H, W), raw values.
        labels: (H, W) class indices, or sets of classes.
        classes: names of the classes.
        caption: of the picture.
        multi_label: whether classes may overlap.
    """
    if multi_label:
        planes = torch.stack([has_class(labels, index) for index in range(len(classes))])
        shares, image = planes.double().mean((1, 2)), draw_overlapping(pixels, planes)
    else:
        drawn, classes = torch.where(labels == IGNORED, torch.zeros_like(labels), labels), classes[1:]
        counts = torch.bincount(drawn.flatten().long(), minlength=1 + len(classes))
        shares, image = counts[1:].double() / drawn.numel(), draw_overlay(pixels, drawn)
    told = ", ".join(f"{name} {share:.0%}" for name, share in zip(classes, shares.tolist(), strict=False))
    words = caption if caption == "image" else f"{caption}: {told} of the pixels"
    return Picture(caption, words, _png(_small(image)))


def draw_errors(pixels: Tensor, labels: Tensor, truth: Tensor, *, caption: str) -> Picture:
    """Wrong pixels over the image in grey; pixels that the true mask ignores are never wrong.

    Args:
        pixels: (C, H, W), raw values.
        labels: (H, W) class indices, or sets of classes.
        truth: likewise.
        caption: of the picture.
    """
    known = truth != IGNORED
    wrong = (labels != truth) & known
    grey = draw_overlay(pixels, torch.zeros_like(truth, dtype=torch.uint8)).convert("L").convert("RGB")
    canvas = 0.5 * np.asarray(grey, dtype=np.float64) + 90
    canvas[wrong.cpu().numpy()] = _WRONG
    share = float(wrong.sum()) / max(1, int(known.sum()))
    words = f"{caption}: {share:.1%} of the pixels are wrong"
    image = Image.fromarray(canvas.round().clip(0, 255).astype(np.uint8), "RGB")
    return Picture(f"{caption}, {share:.1%}", words, _png(_small(image)))


def draw_map(values: Tensor, module: str) -> Picture:
    """A map in the colours of cividis, from its 1st to its 99th percentile; grey where it is not a number.

    Args:
        values: (h, w).
        module: of the map, such as ``gate at skip.0``.
    """
    low, high = map_range(values)
    known = torch.isfinite(values)
    shares = ((values - low) / max(high - low, 1e-12)).clamp(0, 1).nan_to_num(0.0).double().numpy()
    stops = np.linspace(0, 1, len(_CIVIDIS))
    colours = np.stack([np.interp(shares, stops, _CIVIDIS[:, channel]) for channel in range(3)], axis=-1)
    colours[~known.numpy()] = _NOTHING
    caption = f"{module}: x{low:.2f} to x{high:.2f}"
    words = f"{module}: scales positions by {low:.2f} to {high:.2f}"
    return Picture(caption, words, _png(_small(Image.fromarray(colours.round().astype(np.uint8), "RGB"))))


def draw_strip(panel: Panel) -> bytes:
    """All pictures of a panel side by side, each above its caption, as one PNG."""
    images = [Image.open(io.BytesIO(picture.png)).convert("RGB") for picture in panel.pictures]
    scaled = [ImageOps.contain(image, (_STRIP, _STRIP), Image.Resampling.NEAREST) for image in images]
    font = ImageFont.load_default(_LETTERS)
    figures = f"IoU x100 {100 * panel.iou_winner:.1f}, baseline {100 * panel.iou_baseline:.1f}"
    title = f"{panel.why}: {panel.image}, {figures}"
    top = 3 * _LETTERS
    strip = Image.new("RGB", ((_STRIP + _LETTERS) * len(images), _STRIP + 2 * top), "white")
    brush = ImageDraw.Draw(strip)
    brush.text((0, _LETTERS), title, fill="black", font=font)
    for place, (image, picture) in enumerate(zip(scaled, panel.pictures, strict=True)):
        left = place * (_STRIP + _LETTERS)
        strip.paste(image, (left, top))
        brush.text((left, top + _STRIP + _LETTERS // 2), picture.caption, fill="black", font=font)
    return _png(strip)


def map_range(values: Tensor) -> tuple[float, float]:
    """The 1st and the 99th percentile of the finite values; 1 and 1 if there are none."""
    known = values[torch.isfinite(values)].double().numpy()
    if not known.size:
        return 1.0, 1.0
    low, high = np.percentile(known, (1, 99))
    return float(low), float(high)


def _small(image: Image.Image) -> Image.Image:
    image.thumbnail((_LONGEST, _LONGEST))
    return image


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
