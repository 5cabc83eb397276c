"""How many pixels have which value."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_AT_ONCE = 2**20


def byte_counts(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Of each value from 0 to 255, (256,); in parts, for NumPy counts in a copy that is eight times as large."""
    flat, counts = values.reshape(-1), np.zeros(256, dtype=np.int64)
    for start in range(0, len(flat), _AT_ONCE):
        counts += np.bincount(flat[start : start + _AT_ONCE], minlength=256)
    return counts


def value_counts(values: npt.NDArray[Any]) -> tuple[tuple[int, int], ...]:
    """(value, number of pixels) pairs of whole numbers, by value.

    >>> value_counts(np.array([[3, 0], [3, 3]], dtype=np.uint8))
    ((0, 1), (3, 3))
    """
    if values.dtype == np.uint8:  # without sorting them all
        counts = byte_counts(values)
        return tuple((value, int(counts[value])) for value in counts.nonzero()[0].tolist())
    held, numbers = np.unique(values, return_counts=True)
    return tuple(zip(held.tolist(), numbers.tolist(), strict=True))
