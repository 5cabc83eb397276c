"""One image and its mask, read, checked against each other and summed up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nas_attn.data.pairing import Pair
from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.data.raster import Raster, Unreadable, Values, read_raster
from nas_attn.data.shrink import shrink_image, shrink_mask

COLOURS_SHOWN = 4


@dataclass(frozen=True, eq=False)
class Examined:
    """A pair of files that were read.

    Args:
        pair: the files.
        image: (C, H, W) uint8 or uint16, shrunk; None where pixels are not to be kept.
        mask: (H, W) values as stored in the file, shrunk; None where pixels are not to be kept.
        height: as stored in the file.
        width: as stored in the file.
        channels: C of the image.
        bits: 8 or 16.
        is_grey: whether all channels are the same.
        digest: of the image's pixels.
        counts: (value in the mask file, number of pixels) pairs after shrinking.
        notes: what was done to read it.
    """

    pair: Pair
    image: Values | None
    mask: Values | None
    height: int
    width: int
    channels: int
    bits: int
    is_grey: bool
    digest: bytes
    counts: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]


def examine(folder: Path, pair: Pair, longest_side: int | None, keep: bool) -> Examined | list[Problem]:
    """Read a pair, or say what is wrong with it.

    Args:
        folder: of the data set.
        pair: the files.
        longest_side: to which larger images are shrunk; None for never.
        keep: whether the pixels are wanted.
    """
    found: list[Problem] = []
    image, mask = None, None
    try:
        image, notes = _image(folder / pair.image)
    except (Unreadable, OSError) as error:
        found.append(Problem(Sort.FILE, f"{printable(pair.image)}: {printable(error)}"))
    try:
        mask = _mask(folder / pair.mask)
    except (Unreadable, OSError) as error:
        found.append(Problem(Sort.FILE, f"{printable(pair.mask)}: {printable(error)}"))
    if image is None or mask is None:
        return found
    if image.shape[1:] != mask.shape:
        sizes = f"image {_size(image.shape[1:])}, mask {_size(mask.shape)}"
        return [Problem(Sort.SIZE, f"{printable(pair.image)}: sizes differ: {sizes} (width x height)")]
    digest = hashlib.blake2b(repr((image.dtype, image.shape)).encode() + image.tobytes(), digest_size=16).digest()
    height, width = mask.shape
    image, mask = shrink_image(image, longest_side), shrink_mask(mask, longest_side)
    values, counts = np.unique(mask, return_counts=True)
    return Examined(
        pair=pair,
        image=image if keep else None,
        mask=mask if keep else None,
        height=height,
        width=width,
        channels=image.shape[0],
        bits=image.dtype.itemsize * 8,
        is_grey=bool((image == image[:1]).all()),
        digest=digest,
        counts=tuple(zip(values.tolist(), counts.tolist(), strict=True)),
        notes=notes,
    )


def _image(path: Path) -> tuple[Values, tuple[str, ...]]:
    """An image (C, H, W) and what was done to it."""
    raster = read_raster(path)
    notes = ["turned as their cameras say (EXIF)"] if raster.is_turned else []
    values = _opaque(raster)
    if raster.has_alpha:
        notes.append("without their alpha channel, which is constant")
    if raster.palette is not None:
        if int(values.max()) >= len(raster.palette):
            raise Unreadable("is damaged: it uses colours that its palette lacks")
        values = raster.palette[values[..., 0]]
        values = values[..., :1] if (values == values[..., :1]).all() else values
    return np.ascontiguousarray(np.moveaxis(values, -1, 0)), tuple(notes)


def _mask(path: Path) -> Values:
    """A mask (H, W) of values as they are stored; of a palette, the indices."""
    raster = read_raster(path)
    if raster.is_lossy:
        raise Unreadable("is a JPEG: its compression changes class indices; save masks as PNG")
    values = _opaque(raster)
    if values.shape[2] == 1 or (values.shape[2] == 3 and (values == values[..., :1]).all()):
        return np.ascontiguousarray(values[..., 0])
    if values.shape[2] == 3:
        raise Unreadable(
            f"is coded in colours ({_colours(values)}); save one channel of class indices 0, 1, 2 ..."
        )
    raise Unreadable(f"has {values.shape[2]} channels; a mask has one, of class indices 0, 1, 2 ...")


def _opaque(raster: Raster) -> Values:
    """The channels without a constant alpha channel."""
    if not raster.has_alpha:
        return raster.values
    alpha = raster.values[..., -1]
    if (alpha != alpha.flat[0]).any():
        raise Unreadable("has an alpha channel that varies; flatten it, or save it without alpha")
    return raster.values[..., :-1]


def _colours(values: npt.NDArray[np.integer]) -> str:
    colours = np.unique(values.reshape(-1, 3), axis=0)
    shown = ", ".join(str(tuple(colour)) for colour in colours[:COLOURS_SHOWN].tolist())
    more = len(colours) - COLOURS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
