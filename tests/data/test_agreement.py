"""Palette masks whose palettes differ: the same index in two colours is refused, naming two files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_attn.data import check_folder, read_folder

MASK = (np.arange(48).reshape(6, 8) % 2).astype(np.uint8)


def save(folder: Path, name: str, palette: list[int], mask: np.ndarray = MASK) -> None:
    image = Image.fromarray(mask)
    image.putpalette(palette)
    image.save(folder / "masks" / f"{name}.png")


@pytest.fixture
def folder(make_folder) -> Path:
    made = make_folder()
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            save(made, f"{split}/{name}", [0, 0, 0, 200, 0, 0])
    return made


def test_one_index_in_two_colours_is_refused_naming_two_files(folder: Path) -> None:
    save(folder, "val/b", [0, 0, 0, 0, 0, 142])
    (line,) = check_folder(folder).problems
    assert line.startswith(
        "masks/train/a.png and masks/val/b.png: their palettes differ: index 1 is (200, 0, 0) in the one and "
        "(0, 0, 142) in the other"
    )
    assert "mask_colors" in line


def test_indices_that_no_pixel_has_may_differ(folder: Path) -> None:
    save(folder, "val/b", [0, 0, 0, 200, 0, 0, 7, 7, 7])
    save(folder, "val/a", [0, 0, 0, 9, 9, 9], np.zeros_like(MASK))
    assert check_folder(folder).usable


def test_declared_indices_need_no_palette(folder: Path) -> None:
    save(folder, "val/b", [0, 0, 0, 0, 0, 142])
    (folder / "dataset.yaml").write_text("mask_values: {0: soil, 1: plant}")
    assert np.array_equal(read_folder(folder).val.mask(1).numpy(), MASK)
