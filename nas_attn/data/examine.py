"""Read an image and its mask, check them against each other, and summarise them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from nas_attn.data.declaration import Declaration
from nas_attn.data.mask_reading import merged
from nas_attn.data.overlapping import class_masks, coded_classes
from nas_attn.data.pairing import ImagePair
from nas_attn.data.picture import Palette, image_values, is_grey, mask_values
from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.data.raster import Unreadable, Values
from nas_attn.data.shrink import shrink_image, shrink_mask
from nas_attn.data.summary import value_counts


@dataclass(frozen=True, eq=False)
class Examined:
    """A pair of files that were read.

    Args:
        pair: the files.
        stamps: of the image file and of each mask file: size in bytes, and time of the last change, in ns.
        height: as stored in the file.
        width: as stored in the file.
        channels: C of the image.
        bits: 8 or 16.
        is_grey: whether all channels are the same.
        digest: of the image's pixels.
        counts: (value of the mask, number of pixels) pairs after shrinking.
        notes: how it was read.
        is_constant: whether all pixels of the image are the same.
        palette: colours of the mask's values, if these are indices into a palette.
    """

    pair: ImagePair
    stamps: tuple[tuple[int, int], ...]
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
    folder: Path, pair: ImagePair, declaration: Declaration, longest_side: int | None
) -> Examined | list[Problem]:
    """Read a pair, or report its problems; the pixels are not kept.

    Args:
        folder: of the data set.
        pair: the files.
        declaration: how they are read.
        longest_side: to which larger images are shrunk; None does not shrink.
    """
    found: list[Problem] = []
    image = None
    try:
        stamps = stamps_of(folder, pair)
        image, notes = image_values(folder / pair.image, declaration.in_channels, declaration.image_key)
    except (Unreadable, OSError) as error:
        found.append(Problem(Sort.FILE, f"{printable(pair.image)}: {printable(error)}"))
    mask, palette = read_mask(folder, pair, declaration, found)
    if image is None or mask is None:
        return found
    if image.shape[1:] != mask.shape:
        sizes = f"image {_size(image.shape[1:])}, mask {_size(mask.shape)}"
        return [Problem(Sort.SIZE, f"{printable(pair.image)}: sizes differ: {sizes} (width x height)")]
    digest = hashlib.blake2b(repr((image.dtype, image.shape)).encode(), digest_size=16)
    digest.update(image.reshape(-1).data)
    height, width = mask.shape
    image, mask = shrink_image(image, longest_side), shrink_mask(mask, longest_side)
    return Examined(
        pair=pair,
        stamps=stamps,
        height=height,
        width=width,
        channels=image.shape[0],
        bits=image.dtype.itemsize * 8,
        is_grey=is_grey(image),
        digest=digest.digest(),
        counts=value_counts(mask),
        notes=notes,
        palette=palette,
        is_constant=bool((image == image[:, :1, :1]).all()),
    )


def stamps_of(folder: Path, pair: ImagePair) -> tuple[tuple[int, int], ...]:
    """Sizes and times of the image file and the mask files, by which a change is noticed.

    Raises:
        OSError: one of them cannot be accessed.
    """
    found = (os.stat(folder / path) for path in (pair.image, *pair.masks))
    return tuple((one.st_size, one.st_mtime_ns) for one in found)


def read_mask(
    folder: Path, pair: ImagePair, declaration: Declaration, found: list[Problem]
) -> tuple[Values | None, Palette]:
    """The mask of an image, (H, W), with the colours of its values; None if it has problems.

    Args:
        folder: of the data set.
        pair: the files.
        declaration: how they are read.
        found: list to which problems are added.
    """
    return (_overlapping if declaration.multi_label else _exclusive)(folder, pair, declaration, found)


def _exclusive(
    folder: Path, pair: ImagePair, declaration: Declaration, found: list[Problem]
) -> tuple[Values | None, Palette]:
    """The mask of an image with one class per pixel; None if it has problems."""
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
    """The mask of an image whose classes may overlap; None if it has problems."""
    classes, masks = declaration.classes or (), []
    for path, of_class in zip(pair.masks, pair.of_classes or (None,) * len(pair.masks), strict=True):
        try:
            masks += class_masks(folder / path, of_class, classes, declaration.reading)
        except (Unreadable, OSError) as error:
            found.append(Problem(Sort.FILE, f"{printable(path)}: {printable(error)}"))
    found += _unequal(pair, {mask.shape for _, mask in masks})
    return (None, ()) if found else (coded_classes(masks, masks[0][1].shape, len(classes)), ())


def _unequal(pair: ImagePair, shapes: set[tuple[int, ...]]) -> list[Problem]:
    if len(shapes) <= 1:
        return []
    names = " and ".join(printable(path) for path in pair.masks[:2])
    return [Problem(Sort.SIZE, f"{names}: masks of one image differ in size")]


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
