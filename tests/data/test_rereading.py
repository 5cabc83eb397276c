"""Images of a folder are decoded when they are wanted: they are what the files hold, and none is held."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_attn.data import read_folder
from nas_attn.data.folds import chosen, joined
from nas_attn.data.on_demand import OnDemand, in_turn
from nas_attn.data.rereading import quiet_decoders
from nas_attn.errors import DataError

SIDE, NUMBER = 500, 140
SET_BYTES = NUMBER * SIDE * SIDE * 4

GROWTH = """
import resource, sys
from pathlib import Path
from nas_attn.data import card_of, read_folder
from nas_attn.training.evaluation import write_sets

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

tiny, large, packed = map(Path, sys.argv[1:])
write_sets(read_folder(tiny), packed / "tiny")
before = peak()
dataset = read_folder(large)
card_of(dataset)
write_sets(dataset, packed / "large")
print(peak() - before)
"""


def write_set(folder: Path, number: int, side: int) -> Path:
    """Smooth images, which are decoded fast, each another one."""
    ramp = np.add.outer(np.arange(side), np.arange(side)) // 8
    for index in range(number):
        split = "train" if index < number - 4 else ("val" if index < number - 2 else "test")
        image = np.stack([(ramp + 7 * index + 50 * channel) % 251 for channel in range(3)], -1)
        for part, values in (("images", image), ("masks", ramp % 2)):
            path = folder / part / split / f"{index:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(path, compress_level=1)
    return folder


def test_a_set_is_read_and_packed_in_a_fraction_of_its_size(tmp_path: Path) -> None:
    """140 MB of pixels and masks, in a process of its own, whose peak is what counts."""
    tiny = write_set(tmp_path / "tiny", 6, 16)
    large = write_set(tmp_path / "large", NUMBER, SIDE)
    (tmp_path / "packed").mkdir()
    told = subprocess.run(
        [sys.executable, "-c", GROWTH, tiny, large, tmp_path / "packed"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
    )
    assert sum(path.stat().st_size for path in tmp_path.glob("packed/large/*/*/*.npy")) > 0.9 * SET_BYTES
    assert int(told.stdout) < 0.5 * SET_BYTES


def test_images_and_masks_are_those_of_the_files_each_time(tmp_path: Path) -> None:
    train = read_folder(write_set(tmp_path / "data", 7, 24)).train
    for number, name in enumerate(train.names):
        stored = np.array(Image.open(tmp_path / f"data/images/train/{name}.png"))
        for _ in range(2):
            assert (train.image(number).numpy() == stored.transpose(2, 0, 1)).all()
    assert [mask.sum().item() for mask in train.labels] == [
        int(np.array(Image.open(tmp_path / f"data/masks/train/{name}.png")).sum()) for name in train.names
    ]


@pytest.mark.parametrize("change", ["image", "mask", "gone"])
def test_a_file_that_changed_after_it_was_looked_at_is_never_used(change: str, tmp_path: Path) -> None:
    train = read_folder(write_set(tmp_path / "data", 7, 24)).train
    path = tmp_path / "data" / ("masks" if change == "mask" else "images") / "train/001.png"
    if change == "gone":
        path.unlink()
    else:
        Image.new("L" if change == "mask" else "RGB", (24, 24)).save(path)
    read, part = (train.mask, "masks") if change == "mask" else (train.image, "images")
    with pytest.raises(DataError, match=rf"{part}/train/001\.png: was changed or removed while its data set"):
        read(1)
    assert train.image(0).shape == (3, 24, 24)


def test_no_image_is_decoded_for_joining_and_choosing(tmp_path: Path) -> None:
    data = read_folder(write_set(tmp_path / "data", 9, 24))
    for path in (tmp_path / "data").rglob("*.png"):
        path.unlink()
    both = joined(data.train, data.val)
    assert chosen(both, [5, 0]).names == ("005", "000")
    with pytest.raises(DataError, match="removed"):
        both.image(0)


def test_a_sequence_on_demand_is_one() -> None:
    made = []

    def make(number: int) -> torch.Tensor:
        made.append(number)
        return torch.tensor(number)

    numbers = OnDemand(make, 5)
    assert [one.item() for one in numbers[1:4]] == [1, 2, 3]
    assert numbers[-1].item() == 4
    assert made == [1, 2, 3, 4]
    assert [one.item() for one in numbers] == [0, 1, 2, 3, 4]
    with pytest.raises(IndexError):
        numbers[5]


def test_what_threads_make_comes_in_order_and_never_far_ahead() -> None:
    made: list[int] = []
    for taken, one in enumerate(in_turn(lambda number: made.append(number) or number, 100)):
        assert one == taken
        assert len(made) <= taken + 10
    assert sorted(made) == list(range(100))


def test_filters_of_warnings_are_what_they_were_when_the_last_has_left() -> None:
    before = list(warnings.filters)
    first, second = quiet_decoders(), quiet_decoders()
    first.__enter__()
    second.__enter__()
    warnings.warn("of a decoder", UserWarning, stacklevel=1)
    first.__exit__(None, None, None)
    warnings.warn("of another", UserWarning, stacklevel=1)
    second.__exit__(None, None, None)
    assert warnings.filters == before
