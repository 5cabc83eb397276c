"""Counting the values of a mask."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nas_attn.data.summary import byte_counts, value_counts


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_values_are_counted_as_by_hand(dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 256, (37, 23)).astype(dtype)
    assert value_counts(values) == tuple(sorted(Counter(values.flatten().tolist()).items()))


def test_bytes_are_counted_across_the_parts() -> None:
    values = np.full((3, 2**19), 255, dtype=np.uint8)
    values[2, -1] = 0
    assert byte_counts(values)[[0, 1, 255]].tolist() == [1, 0, 3 * 2**19 - 1]
