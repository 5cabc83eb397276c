"""Arrays in memory, written down for a study: they are looked at where they are."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from nas_attn.data.from_memory import folder_of_data


def test_arrays_are_written_down_without_a_copy_of_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 MB, of which a few at a time are handed to the writer."""
    monkeypatch.chdir(tmp_path)
    images = [np.full((1000, 1000, 3), number, dtype=np.uint8) for number in range(10)]
    masks = [np.full((1000, 1000), number % 2, dtype=np.uint8) for number in range(10)]
    tracemalloc.start()
    try:
        folder = folder_of_data((images, masks))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.array_equal(np.load(folder / "images" / "00007.npy"), images[7])
    assert peak < 8e6
