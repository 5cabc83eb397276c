"""A set in files: the same set, one copy for all processes, whole or not there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_attn.data import LabelledImages
from nas_attn.data.dataset import pack
from nas_attn.errors import DataError
from nas_attn.training import DeviceImages, pack_images, read_mapped, write_mapped
from nas_attn.training.batches import cut_crops
from nas_attn.training.mapped import MappedPages

CPU = torch.device("cpu")
BLACK, WHITE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
Coordinates = Callable[..., DeviceImages]
Labelled = Callable[[DeviceImages], LabelledImages]


def test_a_set_is_read_as_it_would_be_packed(coordinates: Coordinates, labelled: Labelled, tmp_path: Path) -> None:
    images = labelled(coordinates((12, 20), (30, 9)))
    mean, std = (0.1, 7.7, 3.0), (1.3, 0.1, 2.0)
    write_mapped(images, mean, std, tmp_path / "train")
    packed, again = pack_images(images, mean, std, CPU), read_mapped(tmp_path / "train", CPU)

    for name in ("pixels", "masks", "heights", "widths", "mean", "std"):
        mine, theirs = getattr(packed, name), getattr(again, name)
        assert torch.equal(mine, theirs), name
        assert mine.dtype == theirs.dtype, name


def test_the_files_are_arrays_that_numpy_reads(
    coordinates: Coordinates, labelled: Labelled, tmp_path: Path
) -> None:
    images = labelled(coordinates((3, 5), (4, 2)))
    write_mapped(images, BLACK, WHITE, tmp_path / "set")

    pixels, masks = (np.load(tmp_path / "set" / name) for name in ("pixels.npy", "masks.npy"))
    assert pixels[:15].reshape(3, 5, 3).transpose(2, 0, 1).tolist() == images.image(0).tolist()
    assert pixels[15:].reshape(4, 2, 3).transpose(2, 0, 1).tolist() == images.image(1).tolist()
    assert masks.tolist() == [*images.mask(0).flatten().tolist(), *images.mask(1).flatten().tolist()]


def test_images_of_16_bits_keep_their_values(tmp_path: Path) -> None:
    pixels = torch.randint(0, 2**16, (2, 1, 8, 8), dtype=torch.int32)
    images = pack(list(pixels), [torch.zeros(8, 8, dtype=torch.uint8)] * 2, ["a", "b"])
    write_mapped(images, (0.0,), (1.0,), tmp_path / "set")

    again, _ = read_mapped(tmp_path / "set", CPU).images_of([0, 1])
    assert torch.equal(again, pixels)


def test_pixels_stay_in_the_file_until_they_are_wanted(
    coordinates: Coordinates, labelled: Labelled, tmp_path: Path
) -> None:
    """Seen in the process's own memory map; what somebody writes to is a copy of theirs."""
    write_mapped(labelled(coordinates((64, 64))), BLACK, WHITE, tmp_path / "set")
    images = read_mapped(tmp_path / "set", CPU)

    assert str(tmp_path / "set" / "pixels.npy") in Path("/proc/self/maps").read_text(encoding="utf-8")
    images.pixels.zero_()
    assert read_mapped(tmp_path / "set", CPU).pixels.any()


def test_a_set_that_cannot_be_written_leaves_no_half_of_it(
    coordinates: Coordinates, labelled: Labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nas_attn.training.mapped.seal", full)
    with pytest.raises(OSError, match="No space left"):
        write_mapped(labelled(coordinates((8, 8))), BLACK, WHITE, tmp_path / "set")

    assert not list(tmp_path.iterdir())


def mapped_bytes(path: Path) -> int:
    """What this process holds of a mapped file, by the kernel's own count."""
    held, is_it = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.split()[0]:
            is_it = line.endswith(str(path))
        elif is_it and line.startswith("Rss:"):
            held += int(line.split()[1]) * 1024
    return held


@pytest.mark.parametrize("reading", ["images", "crops", "counts"])
def test_a_process_holds_little_of_what_it_has_read_of_the_files(
    reading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 images of 512 x 512 pixels: 25 MB, of which 4 may be held."""
    monkeypatch.setattr("nas_attn.training.mapped.MappedPages", partial(MappedPages, most_bytes=2**22))
    image, mask = torch.full((3, 512, 512), 7, dtype=torch.uint8), torch.ones(512, 512, dtype=torch.uint8)
    write_mapped(
        pack([image] * 24, [mask] * 24, [str(number) for number in range(24)]), BLACK, WHITE, tmp_path / "set"
    )
    images, most = read_mapped(tmp_path / "set", CPU), 0
    for number in range(24):
        if reading == "images":
            assert images.images_of([number])[0].sum() == 7 * image.numel()
        elif reading == "crops":
            pixels, _ = cut_crops(images, torch.tensor([number] * 2), torch.rand(2, 6), 256)
            assert pixels.sum() == 7 * pixels.numel()
        elif number == 0:
            assert images.class_counts[0][1] == 24 * 512**2
        most = max(most, sum(mapped_bytes(tmp_path / "set" / name) for name in ("pixels.npy", "masks.npy")))
    assert 0 < most < 2**23


def test_what_does_not_fit_into_memory_is_not_brought_there(
    coordinates: Coordinates, labelled: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = labelled(coordinates((64, 64)))
    monkeypatch.setattr("nas_attn.training.images.machine_bytes", lambda: 64 * 64 * 4 - 1)
    with pytest.raises(DataError, match=r"the images need .* shrink them with --longest-side"):
        pack_images(images, BLACK, WHITE, CPU)
