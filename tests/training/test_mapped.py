"""A set in files: the same set, one copy for all processes, whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nas_attn.training import DeviceImages, read_mapped, write_mapped

CPU = torch.device("cpu")
Coordinates = Callable[..., DeviceImages]


def test_a_set_is_read_as_it_was_written(coordinates: Coordinates, tmp_path: Path) -> None:
    images = coordinates((12, 20), (30, 9))
    images = DeviceImages(
        images.pixels, images.masks, images.heights, images.widths, torch.rand(3), torch.rand(3) + 0.1
    )
    write_mapped(images, tmp_path / "train")
    again = read_mapped(tmp_path / "train", CPU)

    for name in ("pixels", "masks", "heights", "widths", "mean", "std"):
        mine, theirs = getattr(images, name), getattr(again, name)
        assert torch.equal(mine, theirs), name
        assert mine.dtype == theirs.dtype, name


def test_images_of_16_bits_keep_their_values(tmp_path: Path) -> None:
    pixels = torch.randint(0, 2**16, (2, 1, 8, 8), dtype=torch.int32)
    images = DeviceImages.pack(
        pixels, torch.zeros(2, 8, 8, dtype=torch.uint8), (8, 8), (8, 8), (0.0,), (1.0,), device=CPU
    )
    write_mapped(images, tmp_path / "set")

    again, _ = read_mapped(tmp_path / "set", CPU).images_of([0, 1])
    assert torch.equal(again, pixels)


def test_pixels_stay_in_the_file_until_they_are_wanted(coordinates: Coordinates, tmp_path: Path) -> None:
    """Seen in the process's own memory map; what somebody writes to is a copy of theirs."""
    write_mapped(coordinates((64, 64)), tmp_path / "set")
    images = read_mapped(tmp_path / "set", CPU)

    assert str(tmp_path / "set" / "pixels.npy") in Path("/proc/self/maps").read_text(encoding="utf-8")
    images.pixels.zero_()
    assert read_mapped(tmp_path / "set", CPU).pixels.any()


def test_a_set_that_cannot_be_written_leaves_no_half_of_it(
    coordinates: Coordinates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.save", full)
    with pytest.raises(OSError, match="No space left"):
        write_mapped(coordinates((8, 8)), tmp_path / "set")

    assert not list(tmp_path.iterdir())
