"""Counting the values of a mask, and which images of a data set are others than they were."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nas_attn.data import read_folder
from nas_attn.data.summary import byte_counts, changes, value_counts


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_values_are_counted_as_by_hand(dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 256, (37, 23)).astype(dtype)
    assert value_counts(values) == tuple(sorted(Counter(values.flatten().tolist()).items()))


def test_bytes_are_counted_across_the_parts() -> None:
    values = np.full((3, 2**19), 255, dtype=np.uint8)
    values[2, -1] = 0
    assert byte_counts(values)[[0, 1, 255]].tolist() == [1, 0, 3 * 2**19 - 1]


def test_changed_added_and_lost_images_are_named(make_folder, save) -> None:
    folder = make_folder()
    before = dict(read_folder(folder).digests)
    assert changes(before, before).startswith("no image differs")
    save(folder / "masks/val/a.png", np.ones((6, 8), np.uint8))
    for part in ("images", "masks"):
        (folder / part / "test" / "a.png").rename(folder / part / "test" / "c.png")
    told = changes(before, dict(read_folder(folder).digests))
    assert told == "1 changed: val/a; 1 added: test/c; 1 gone: test/a"
