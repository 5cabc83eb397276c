"""Turn the values and colours of a mask file into class values, as ``dataset.yaml`` declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nas_attn.data.raster import Unreadable, Values

Colour = tuple[int, int, int]

Colours = npt.NDArray[np.int64]
Codes = npt.NDArray[Any]
_SHOWN = 4


@dataclass(frozen=True)
class MaskReading:
    """How to read mask files whose values are not class values themselves.

    Args:
        colours: (colour, class value) pairs; empty if masks are not read by colour.
        tolerance: by how much each channel may differ from a declared colour.
        threshold: grey values above it are class 1, others class 0; None reads values as they are.
        instances: whether values are numbers of objects, so that all but 0 become class 1.
        ignored: value that ``instances`` leaves as it is; None for none.
        key: of the array in a .npz file; empty if it has a single array.
    """

    colours: tuple[tuple[Colour, int], ...] = ()
    tolerance: int = 0
    threshold: float | None = None
    instances: bool = False
    ignored: int | None = None
    key: str = ""

    @property
    def by_colour(self) -> bool:
        """Whether masks are read by their colours."""
        return bool(self.colours)

    @property
    def bears_loss(self) -> bool:
        """Whether values near the saved ones are read correctly, so that lossy compression does no harm."""
        return self.threshold is not None or self.tolerance > 0

    def of_values(self, mask: Values) -> Values:
        """A mask (H, W) of class values from one of stored values."""
        if self.threshold is not None:
            return (mask > self.threshold).astype(np.uint8)
        if self.instances:
            kept = mask == self.ignored if self.ignored is not None else np.zeros(mask.shape, bool)
            return np.where(kept, mask, (mask > 0).astype(mask.dtype))
        return mask

    def of_colours(self, colours: Values) -> Values:
        """A mask (H, W) of class values from colours (H, W, 3), each the nearest declared one.

        Raises:
            Unreadable: a colour is not a declared one.
        """
        codes = coded(colours)
        distinct = np.unique(codes)
        values = np.empty(len(distinct), np.uint8)
        known = np.array([colour for colour, _ in self.colours], np.int32)
        classes = np.array([value for _, value in self.colours], np.uint8)
        for start in range(0, len(distinct), 4096):
            found = decoded(distinct[start : start + 4096])
            apart = np.abs(found[:, None] - known[None]).max(2)
            if (apart.min(1) > self.tolerance).any():
                strange = shown_colours(found[apart.min(1) > self.tolerance])
                raise Unreadable(
                    f"has colours that mask_colors lacks: {strange}; add them, or raise color_tolerance"
                )
            values[start : start + 4096] = classes[apart.argmin(1)]
        return values[np.searchsorted(distinct, codes)].reshape(colours.shape[:2])


def merged(masks: list[Values]) -> Values:
    """Merge the masks (H, W) of one image: each pixel has the class value of the last mask that is not 0 there."""
    first, *others = masks
    for mask in others:
        first = np.where(mask > 0, mask, first)
    return first


def coded(values: Values) -> Codes:
    """One number for each pixel, sorted as red, green and blue, (H x W,).

    Args:
        values: (H, W, 3), of 8 or 16 bits.
    """
    kind, bits = (np.uint32, 8) if values.dtype == np.uint8 else (np.uint64, 16)
    wide: Codes = values.reshape(-1, 3).astype(kind)
    return wide[:, 0] << 2 * bits | wide[:, 1] << bits | wide[:, 2]


def decoded(codes: Codes) -> Colours:
    """The colours of numbers from ``coded``, (n, 3)."""
    bits = 2 * codes.dtype.itemsize
    numbers = codes.astype(np.int64)
    return np.stack([numbers >> shift & (1 << bits) - 1 for shift in (2 * bits, bits, 0)], 1)


def counted_colours(values: Values) -> tuple[Colours, npt.NDArray[np.int64]]:
    """The colours of pixels, (n, 3), sorted, and the number of pixels with each, (n,).

    Args:
        values: (H, W, 3), of any numbers.
    """
    if values.dtype not in (np.uint8, np.uint16):
        found, counts = np.unique(values.reshape(-1, 3), axis=0, return_counts=True)
        return found, counts
    codes, counts = np.unique(coded(values), return_counts=True)
    return decoded(codes), counts


def shown_colours(colours: Colours) -> str:
    """The first four of some colours, (n, 3), and the number of the others."""
    shown = ", ".join(str(tuple(colour)) for colour in colours[:_SHOWN].tolist())
    return f"{shown} and {len(colours) - _SHOWN} more" if len(colours) > _SHOWN else shown
