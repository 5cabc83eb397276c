"""Packed sets: the same outcome whether they come from the data or from files, and never from other data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from nas_attn.budget import Budget
from nas_attn.data import synthetic
from nas_attn.evaluate import DataSource, TrainingEvaluator, pack_sets, read_sets, write_sets
from nas_attn.network import UNetConfig

CPU = torch.device("cpu")
SOURCE = DataSource(image_size=16, n_train=6, n_val=4)
NETWORK = UNetConfig(in_channels=3, classes=3, depth=2, base_channels=4)
BUDGET = Budget(steps=3, image_size=16, batch_size=2)


def test_files_hold_what_packing_gives(tmp_path: Path) -> None:
    data = SOURCE.load()
    packed = pack_sets(data, 24, CPU)
    read = read_sets(write_sets(data, 24, tmp_path / "images"), CPU)

    assert packed.train.pixels.shape[2:] == (24, 24)
    assert packed.val.pixels.shape[2:] == (16, 16)
    for mine, theirs in ((packed.train, read.train), (packed.val, read.val)):
        for name in ("pixels", "masks", "heights", "widths", "mean", "std"):
            assert torch.equal(getattr(mine, name), getattr(theirs, name)), name


def test_an_evaluation_is_the_same_from_files(tmp_path: Path) -> None:
    folder = write_sets(SOURCE.load(), 16, tmp_path / "images")
    reader = TrainingEvaluator(NETWORK, SOURCE)
    mapper = replace(reader, packed=str(folder), source=DataSource(folder="/nowhere"))
    one, other = (evaluator(NETWORK.plain, BUDGET, 0) for evaluator in (reader, mapper))

    assert one.score == other.score
    assert one.curve == other.curve


def test_files_are_written_once_and_those_of_other_data_are_removed(tmp_path: Path) -> None:
    data = SOURCE.load()
    folder = write_sets(data, 16, tmp_path / "images")
    stamp = (folder / "train" / "pixels.npy").stat().st_mtime_ns

    assert write_sets(data, 16, tmp_path / "images") == folder
    assert (folder / "train" / "pixels.npy").stat().st_mtime_ns == stamp

    other = write_sets(synthetic(image_size=16, seed=1, n_train=6, n_val=4, n_test=4), 16, tmp_path / "images")
    assert other != folder
    assert [path.name for path in (tmp_path / "images").iterdir()] == [other.name]


def test_a_folder_that_was_left_half_written_is_made_anew(tmp_path: Path) -> None:
    data = SOURCE.load()
    folder = write_sets(data, 16, tmp_path / "images")
    (folder / "val").rename(folder / ".val.123")
    write_sets(data, 16, tmp_path / "images")

    assert sorted(path.name for path in folder.iterdir()) == ["train", "val"]
