"""An image file as channels, and a mask file as one plane of values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nas_attn.data.problem import printable
from nas_attn.data.raster import Raster, Unreadable, Values, read_raster
from nas_attn.errors import DataError

_GREY, _RGB = 1, 3
Colour = tuple[int, int, int]
Palette = tuple[tuple[int, Colour], ...]
"""(index, colour) pairs."""
_COLOURS_SHOWN = 4


def read_image(path: Path, channels: int | None = None) -> Tensor:
    """One image file, read as the images of a data set are: (C, H, W), uint8, or int32 for 16 bits.

    Args:
        path: of a PNG, JPEG, TIFF or BMP file.
        channels: wanted C; grey becomes RGB, and RGB with equal channels grey. None takes what is there.
    Raises:
        DataError: the file cannot be read, or has other channels.
    """
    try:
        image, _ = image_values(path)
    except (Unreadable, OSError) as error:
        raise DataError(f"{printable(path)}: {printable(error)}") from error
    if channels is not None and not can_have_channels(image.shape[0], is_grey(image), channels):
        raise DataError(f"{printable(path)}: has {image.shape[0]} channels; {channels} are needed")
    return as_tensor(with_channels(image, channels or image.shape[0]))


def as_tensor(image: Values) -> Tensor:
    """The same values as uint8, or as int32 where they have 16 bits."""
    return torch.from_numpy(image if image.dtype == np.uint8 else image.astype(np.int32))


def is_grey(image: Values) -> bool:
    """Whether all channels of (C, H, W) are the same."""
    return bool((image == image[:1]).all())


def can_have_channels(channels: int, grey: bool, wanted: int) -> bool:
    """Whether an image can be brought to the wanted channels without losing or inventing anything."""
    return (
        channels == wanted or (channels, wanted) == (_GREY, _RGB) or (grey and (channels, wanted) == (_RGB, _GREY))
    )


def with_channels(image: Values, channels: int) -> Values:
    """An image (C, H, W) with so many channels: grey repeated, or the first of equal ones."""
    if image.shape[0] == channels:
        return image
    return np.repeat(image, channels, axis=0) if image.shape[0] == _GREY else image[:channels]


def image_values(path: Path) -> tuple[Values, tuple[str, ...]]:
    """An image (C, H, W) and what was done to it.

    Raises:
        Unreadable: it cannot be used.
    """
    raster = read_raster(path)
    notes = ["turned as their orientation tags say"] if raster.is_turned else []
    values = _opaque(raster)
    if raster.has_alpha:
        notes.append("without their alpha channel, which is constant")
    if raster.palette is not None:
        if int(values.max()) >= len(raster.palette):
            raise Unreadable("is damaged: it uses colours that its palette lacks")
        values = raster.palette[values[..., 0]]
        values = values[..., :1] if (values == values[..., :1]).all() else values
    return np.ascontiguousarray(np.moveaxis(values, -1, 0)), tuple(notes)


def mask_values(path: Path) -> tuple[Values, Palette]:
    """A mask (H, W) of values as they are stored, and the colours of those that are indices into a palette.

    Raises:
        Unreadable: it cannot be used.
    """
    raster = read_raster(path)
    if raster.is_lossy:
        raise Unreadable("is a JPEG: its compression changes class indices; save masks as PNG")
    values = _opaque(raster)
    if values.shape[2] == 1 or (values.shape[2] == 3 and (values == values[..., :1]).all()):
        mask = np.ascontiguousarray(values[..., 0])
        return mask, _used(raster.palette, mask)
    if values.shape[2] == 3:
        raise Unreadable(f"is coded in colours ({_colours(values)}); save one channel of class indices")
    raise Unreadable(f"has {values.shape[2]} channels; a mask has one, of class indices 0, 1, 2 ...")


def _used(palette: Values | None, mask: Values) -> Palette:
    """The colours of the indices in use; one beyond the palette has none."""
    if palette is None:
        return ()
    used = [index for index in np.unique(mask).tolist() if index < len(palette)]
    return tuple((index, (int(r), int(g), int(b))) for index in used for r, g, b in [palette[index].tolist()])


def _opaque(raster: Raster) -> Values:
    """The channels without a constant alpha channel."""
    if not raster.has_alpha:
        return raster.values
    alpha = raster.values[..., -1]
    if (alpha != alpha.flat[0]).any():
        raise Unreadable("has an alpha channel that varies; flatten it, or save it without alpha")
    return raster.values[..., :-1]


def _colours(values: Values) -> str:
    colours = np.unique(values.reshape(-1, 3), axis=0)
    shown = ", ".join(str(tuple(colour)) for colour in colours[:_COLOURS_SHOWN].tolist())
    more = len(colours) - _COLOURS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
