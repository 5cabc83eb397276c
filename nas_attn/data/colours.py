"""Colours of pixels as one number each, which are found and counted far sooner than rows of three."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nas_attn.data.raster import Values

Colours = npt.NDArray[np.int64]
Codes = npt.NDArray[Any]
_SHOWN = 4


def coded(values: Values) -> Codes:
    """One number for each pixel, in the order of red, green and blue, (H x W,).

    Args:
        values: (H, W, 3), of 8 or 16 bits.
    """
    kind, bits = (np.uint32, 8) if values.dtype == np.uint8 else (np.uint64, 16)
    wide: Codes = values.reshape(-1, 3).astype(kind)
    return wide[:, 0] << 2 * bits | wide[:, 1] << bits | wide[:, 2]


def decoded(codes: Codes) -> Colours:
    """The colours of numbers of ``coded``, (n, 3)."""
    bits = 2 * codes.dtype.itemsize
    numbers = codes.astype(np.int64)
    return np.stack([numbers >> shift & (1 << bits) - 1 for shift in (2 * bits, bits, 0)], 1)


def counted_colours(values: Values) -> tuple[Colours, npt.NDArray[np.int64]]:
    """The colours of pixels, (n, 3), in order, and how many pixels have each, (n,).

    Args:
        values: (H, W, 3), of any numbers.
    """
    if values.dtype not in (np.uint8, np.uint16):
        found, counts = np.unique(values.reshape(-1, 3), axis=0, return_counts=True)
        return found, counts
    codes, counts = np.unique(coded(values), return_counts=True)
    return decoded(codes), counts


def shown_colours(colours: Colours) -> str:
    """The first four of some colours, (n, 3), and how many more there are."""
    shown = ", ".join(str(tuple(colour)) for colour in colours[:_SHOWN].tolist())
    return f"{shown} and {len(colours) - _SHOWN} more" if len(colours) > _SHOWN else shown
