from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SPLITS = ("train", "val", "test")


@pytest.fixture
def save() -> Callable[[Path, np.ndarray], Path]:
    """Write an array as an image file and make the folders above it."""

    def write(path: Path, values: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)
        return path

    return write


@pytest.fixture
def make_folder(tmp_path: Path, save: Callable[[Path, np.ndarray], Path]) -> Callable[..., Path]:
    """Make a small sound data set: two images of 8 x 6 in each split, masks of the values 0 and 1.

    ``images`` and ``masks`` replace single files, as {'train/a': array}.
    """

    def make(
        images: Mapping[str, np.ndarray] | None = None,
        masks: Mapping[str, np.ndarray] | None = None,
        channels: int = 3,
        classes: int = 2,
    ) -> Path:
        random = np.random.default_rng(0)
        shape = (6, 8) if channels == 1 else (6, 8, channels)
        for split in SPLITS:
            for name in ("a", "b"):
                mask = np.arange(48).reshape(6, 8) % classes
                pixels = random.integers(0, 256, shape)
                save(tmp_path / "images" / split / f"{name}.png", pixels.astype(np.uint8))
                save(tmp_path / "masks" / split / f"{name}.png", mask.astype(np.uint8))
        for part, changed in (("images", images), ("masks", masks)):
            for name, values in (changed or {}).items():
                save(tmp_path / part / f"{name}.png", values)
        return tmp_path

    return make
