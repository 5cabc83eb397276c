"""Read an image file as channels, and a mask file as one plane of values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_attn.data.mask_reading import Colour, MaskReading, counted_colours, shown_colours
from nas_attn.data.problem import printable
from nas_attn.data.raster import Raster, Unreadable, Values, read_raster
from nas_attn.errors import DataError

_GREY, _RGB = 1, 3
Palette = tuple[tuple[int, Colour], ...]
"""(index, colour) pairs."""
_MOST = 65535
_CONSTANT = "which is constant"
_LOSSY = (
    "is compressed with loss (JPEG), which changes class indices: for two classes of grey values write "
    "'threshold: 127', for colours write mask_colors with a color_tolerance"
)


def read_image(path: Path, channels: int | None = None) -> Tensor:
    """Read one image file in the same way as the images of a data set: (C, H, W), uint8, or int32 for 16 bits.

    Args:
        path: of an image file.
        channels: wanted C; grey becomes RGB, and RGB with equal channels grey. An alpha channel is kept if it
            completes the number, and dropped otherwise. None takes the channels of the file.
    Raises:
        DataError: the file cannot be read, or has other channels.
    """
    try:
        image, _ = image_values(path, channels)
    except (Unreadable, OSError) as error:
        raise DataError(f"{printable(path)}: {printable(error)}") from error
    if channels is not None and not can_have_channels(image.shape[0], is_grey(image), channels):
        raise DataError(f"{printable(path)}: has {image.shape[0]} channels; {channels} are needed")
    return as_tensor(with_channels(image, channels or image.shape[0]))


def as_tensor(image: Values) -> Tensor:
    """The same values as uint8, or as int32 if they have 16 bits."""
    return torch.from_numpy(image if image.dtype == np.uint8 else image.astype(np.int32))


def is_grey(image: Values) -> bool:
    """Whether all channels of (C, H, W) are the same."""
    return bool((image == image[:1]).all())


def can_have_channels(channels: int, grey: bool, wanted: int) -> bool:
    """Whether an image can be converted to the wanted channels without losing or inventing anything."""
    return (
        channels == wanted or (channels, wanted) == (_GREY, _RGB) or (grey and (channels, wanted) == (_RGB, _GREY))
    )


def with_channels(image: Values, channels: int) -> Values:
    """An image (C, H, W) with the wanted channels: grey repeated, or the first of equal ones."""
    if image.shape[0] == channels:
        return image
    return np.repeat(image, channels, axis=0) if image.shape[0] == _GREY else image[:channels]


def image_values(path: Path, channels: int | None = None, key: str = "") -> tuple[Values, tuple[str, ...]]:
    """An image (C, H, W), uint8 or uint16, and how it was converted.

    Args:
        path: of the file.
        channels: wanted C, if it is known; it decides whether an alpha channel is kept.
        key: of the array in a .npz file; empty if it has a single array.
    Raises:
        Unreadable: it cannot be used.
    """
    raster = read_raster(path, key)
    notes = ["turned as their orientation tags say"] if raster.is_turned else []
    if raster.has_pages:
        notes.append("with their pages as channels")
    values = _wanted(raster, channels)
    if raster.has_alpha and values.shape[2] < raster.values.shape[2]:
        varies = channels is not None and _varies(raster)
        notes.append(f"without their alpha channel, {f'as in_channels: {channels} says' if varies else _CONSTANT}")
    if values.dtype == np.float32:
        values = _brightness(values)
        notes.append("with brightness from 0 to 1 in 16 bits")
    if raster.palette is not None:
        values = _resolved(raster)
        values = values[..., :1] if (values == values[..., :1]).all() else values
    return np.ascontiguousarray(np.moveaxis(values, -1, 0)), tuple(notes)


def mask_values(path: Path, reading: MaskReading) -> tuple[Values, Palette]:
    """A mask (H, W) of class values, and the colours of those that are indices into a palette.

    Args:
        path: of the file.
        reading: of its values.
    Raises:
        Unreadable: it cannot be used.
    """
    raster = read_raster(path, reading.key)
    if raster.is_lossy and not reading.bears_loss:
        raise Unreadable(_LOSSY)
    if reading.by_colour:
        return reading.of_colours(_coloured(raster)), ()
    values = _opaque(raster, "flatten it, or save it without alpha")
    if reading.threshold is not None and raster.palette is not None:
        values = _resolved(raster)
    if values.shape[2] == 1 or (values.shape[2] == 3 and (values == values[..., :1]).all()):
        mask = _whole(np.ascontiguousarray(values[..., 0]), reading)
        return reading.of_values(mask), _used(raster.palette, mask)
    if values.shape[2] == 3:
        colours, _ = counted_colours(values)
        raise Unreadable(
            f"is coded in colours ({shown_colours(colours)}); name them as mask_colors in dataset.yaml, or save "
            "one channel of class indices"
        )
    raise Unreadable(f"has {values.shape[2]} channels; a mask has one, of class indices 0, 1, 2 ...")


def _whole(mask: Values, reading: MaskReading) -> Values:
    """Floating numbers as whole ones if they are; with a threshold, any numbers."""
    if mask.dtype != np.float32 or reading.threshold is not None:
        return mask
    if (mask != np.rint(mask)).any() or mask.min() < 0 or mask.max() > _MOST:
        raise Unreadable(
            f"holds floating numbers from {mask.min():.4g} to {mask.max():.4g}; class values are whole numbers "
            "from 0; for two classes of grey values write a threshold, as 'threshold: 0.5'"
        )
    return mask.astype(np.uint16)


def _coloured(raster: Raster) -> Values:
    """(H, W, 3) of 8 bits."""
    values = _resolved(raster) if raster.palette is not None else raster.values
    values = values[..., :-1] if raster.has_alpha and raster.palette is None else values
    if values.dtype != np.uint8 or values.shape[2] not in (_GREY, _RGB):
        raise Unreadable(f"has {values.shape[2]} channels of {values.dtype}; colours are three of 8 bits")
    return np.repeat(values, 3, axis=2) if values.shape[2] == _GREY else values


def _resolved(raster: Raster) -> Values:
    """The colours of indices into a palette, (H, W, 3)."""
    palette = raster.palette
    if palette is None or int(raster.values.max()) >= len(palette):
        raise Unreadable("is damaged: it uses colours that its palette lacks")
    colours: Values = palette[raster.values[..., 0]]
    return colours


def _brightness(values: Values) -> Values:
    """Brightness from 0 to 1, as 16 bits."""
    if values.min() < 0 or values.max() > 1:
        raise Unreadable(
            f"holds floating numbers from {values.min():.4g} to {values.max():.4g}; brightness in floating "
            "numbers runs from 0 to 1: scale all images alike, or save whole numbers of 8 or 16 bits"
        )
    return np.rint(values * np.float64(_MOST)).astype(np.uint16)


def _used(palette: Values | None, mask: Values) -> Palette:
    """The colours of the indices in use; an index beyond the palette has none."""
    if palette is None:
        return ()
    used = [index for index in np.unique(mask).tolist() if index < len(palette)]
    return tuple((index, (int(r), int(g), int(b))) for index in used for r, g, b in [palette[index].tolist()])


def _wanted(raster: Raster, channels: int | None) -> Values:
    """The channels, including the alpha channel if it completes the wanted number."""
    if not raster.has_alpha or channels == raster.values.shape[2]:
        return raster.values
    number = raster.values.shape[2]
    mend = f"'in_channels: {number - 1}' in dataset.yaml drops it, 'in_channels: {number}' keeps it"
    return raster.values[..., :-1] if channels == number - 1 else _opaque(raster, mend)


def _opaque(raster: Raster, mend: str) -> Values:
    """The channels without a constant alpha channel."""
    if not raster.has_alpha:
        return raster.values
    if _varies(raster):
        raise Unreadable(f"has an alpha channel that varies; {mend}")
    return raster.values[..., :-1]


def _varies(raster: Raster) -> bool:
    alpha = raster.values[..., -1]
    return bool((alpha != alpha.flat[0]).any())
