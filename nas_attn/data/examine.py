"""One image and its mask, read, checked against each other and summed up."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_attn.data.declaration import Declaration
from nas_attn.data.mask_reading import merged
from nas_attn.data.overlap_masks import class_masks, coded
from nas_attn.data.pairing import ImagePair
from nas_attn.data.picture import Palette, image_values, is_grey, mask_values
from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.data.raster import Unreadable, Values
from nas_attn.data.shrink import shrink_image, shrink_mask


@dataclass(frozen=True, eq=False)
class Examined:
    """A pair of files that were read.

    Args:
        pair: the files.
        image: (C, H, W) uint8 or uint16, shrunk; None where pixels are not to be kept.
        mask: (H, W) values as stored in the file, or sets of classes that may overlap, shrunk; None where pixels
            are not to be kept.
        height: as stored in the file.
        width: as stored in the file.
        channels: C of the image.
        bits: 8 or 16.
        is_grey: whether all channels are the same.
        digest: of the image's pixels.
        counts: (value of the mask, number of pixels) pairs after shrinking.
        notes: what was done to read it.
        is_constant: whether all pixels of the image are the same.
        palette: colours of the mask's values, where these are indices into a palette.
    """

    pair: ImagePair
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
    palette: Palette = ()
    is_constant: bool = False


def examine(
    folder: Path, pair: ImagePair, declaration: Declaration, longest_side: int | None, keep: bool
) -> Examined | list[Problem]:
    """Read a pair, or say what is wrong with it.

    Args:
        folder: of the data set.
        pair: the files.
        declaration: how they are read.
        longest_side: to which larger images are shrunk; None for never.
        keep: whether the pixels are wanted.
    """
    found: list[Problem] = []
    image = None
    try:
        image, notes = image_values(folder / pair.image, declaration.in_channels, declaration.image_key)
    except (Unreadable, OSError) as error:
        found.append(Problem(Sort.FILE, f"{printable(pair.image)}: {printable(error)}"))
    mask, palette = (_overlapping if declaration.multi_label else _exclusive)(folder, pair, declaration, found)
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
        is_grey=is_grey(image),
        digest=digest,
        counts=tuple(zip(values.tolist(), counts.tolist(), strict=True)),
        notes=notes,
        palette=palette,
        is_constant=bool((image == image[:, :1, :1]).all()),
    )


def _exclusive(
    folder: Path, pair: ImagePair, declaration: Declaration, found: list[Problem]
) -> tuple[Values | None, Palette]:
    """The mask of an image in which a pixel has one class; None where something is wrong."""
    masks: list[tuple[Values, Palette]] = []
    for path in pair.masks:
        try:
            masks.append(mask_values(folder / path, declaration.reading))
        except (Unreadable, OSError) as error:
            found.append(Problem(Sort.FILE, f"{printable(path)}: {printable(error)}"))
    found += _unequal(pair, {mask.shape for mask, _ in masks})
    return (None, ()) if found else (merged([mask for mask, _ in masks]), masks[0][1])


def _overlapping(
    folder: Path, pair: ImagePair, declaration: Declaration, found: list[Problem]
) -> tuple[Values | None, Palette]:
    """The mask of an image in which a pixel may have several classes; None where something is wrong."""
    classes, masks = declaration.classes or (), []
    for path, of_class in zip(pair.masks, pair.of_classes or (None,) * len(pair.masks), strict=True):
        try:
            masks += class_masks(folder / path, of_class, classes, declaration.reading)
        except (Unreadable, OSError) as error:
            found.append(Problem(Sort.FILE, f"{printable(path)}: {printable(error)}"))
    found += _unequal(pair, {mask.shape for _, mask in masks})
    return (None, ()) if found else (coded(masks, masks[0][1].shape, len(classes)), ())


def _unequal(pair: ImagePair, shapes: set[tuple[int, ...]]) -> list[Problem]:
    if len(shapes) <= 1:
        return []
    names = " and ".join(printable(path) for path in pair.masks[:2])
    return [Problem(Sort.SIZE, f"{names}: masks of one image differ in size")]


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
