"""Masks of classes that may overlap: from files to one number for each pixel, and the meaning of these numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_attn.data.dataset import IGNORED
from nas_attn.data.mask_reading import MaskReading
from nas_attn.data.picture import mask_values
from nas_attn.data.raster import Unreadable, Values, read_raster

MOST_OVERLAPPING = 30
"""Maximum number of overlapping classes: as many as fit into 31 bits next to the one for 'ignored'."""
MOST_IN_A_BYTE = 7
_IGNORED_BIT = 7


@dataclass(frozen=True)
class Overlapping:
    """The meaning of masks whose values are sets of classes.

    Args:
        classes: names in the order of their indices.
        ignore_index: value of ignored pixels in the mask files; None if there is none.
    """

    classes: tuple[str, ...]
    ignore_index: int | None
    multi_label = True

    def translate(self, mask: Values) -> Values:
        """The mask, unchanged."""
        return mask

    def count(self, counts: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], int]:
        """Numbers of pixels of each class, and of ignored ones."""
        of_code = dict(counts)
        ignored = of_code.pop(IGNORED, 0)
        bits = (1 << bit_of(index) for index in range(len(self.classes)))
        return tuple(sum(number for code, number in of_code.items() if code & bit) for bit in bits), ignored

    def labelled(self, counts: Iterable[tuple[int, int]]) -> int:
        """Number of pixels that are not ignored."""
        return sum(number for code, number in counts if code != IGNORED)


def class_masks(
    path: Path, of_class: int | None, classes: Sequence[str], reading: MaskReading
) -> list[tuple[int, Values]]:
    """The classes of which a file contains masks, each with its mask (H, W): 0 for absent, 255 for ignored.

    Args:
        path: of the file.
        of_class: the index of its class; None if its channels are the masks of all classes.
        classes: the names of all classes.
        reading: of its values.
    Raises:
        Unreadable: it cannot be used.
    """
    if of_class is not None:
        return [(of_class, _presence(mask_values(path, reading)[0], reading))]
    raster = read_raster(path, reading.key)
    channels = raster.values.shape[2]
    if raster.palette is not None or channels != len(classes):
        raise Unreadable(
            f"has {channels} channel{'s' if channels > 1 else ''} for {len(classes)} classes that may overlap "
            f"({', '.join(classes)}); save one for each, or give each class masks of its own"
        )
    if raster.is_lossy and reading.threshold is None:
        raise Unreadable("is compressed with loss (JPEG): write 'threshold: 127'")
    planes = (reading.of_values(raster.values[..., index]) for index in range(channels))
    return [(index, _presence(plane, reading)) for index, plane in enumerate(planes)]


def _presence(mask: Values, reading: MaskReading) -> Values:
    """1 where a class is present, 0 where it is absent, 255 where ignored."""
    values = np.unique(mask)
    present = [value for value in values.tolist() if value != 0 and value != reading.ignored]
    if len(present) > 1:
        shown = f"{', '.join(f'{value:g}' for value in values[:8])}{' ...' if len(values) > 8 else ''}"
        raise Unreadable(
            f"holds the values {shown}; "
            "the mask of a class has two, such as 0 and 255: 'threshold: 127' makes two of grey values, "
            "'instances: true' of numbers of objects"
        )
    found: Values = (mask != 0).astype(np.uint8)
    if reading.ignored is not None:
        found[mask == reading.ignored] = IGNORED
    return found


def coded_classes(masks: Iterable[tuple[int, Values]], shape: tuple[int, ...], n_classes: int) -> Values:
    """The classes of each pixel as bits of one number; 255 where the mask of any class is ignored.

    Args:
        masks: (index of the class, mask) pairs; several of a class are merged, and a class without one is absent.
        shape: H and W.
        n_classes: K.
    Returns:
        (H, W), uint8 for up to seven classes, else int32.
    """
    codes = np.zeros(shape, np.uint8 if n_classes <= MOST_IN_A_BYTE else np.int32)
    ignored = np.zeros(shape, bool)
    for index, mask in masks:
        codes[mask == 1] |= codes.dtype.type(1 << bit_of(index))
        ignored |= mask == IGNORED
    codes[ignored] = IGNORED
    return codes


def bit_of(index: int) -> int:
    """The bit that says whether a pixel has a class.

    No class has bit 7, so 255, which marks ignored pixels, is never a set of classes.

    >>> [bit_of(index) for index in (0, 6, 7)]
    [0, 6, 8]
    """
    return index if index < _IGNORED_BIT else index + 1


def known_bits(classes: int) -> int:
    """All bits that sets of K classes may have.

    >>> bin(known_bits(3))
    '0b111'
    """
    return sum(1 << bit_of(index) for index in range(classes))
