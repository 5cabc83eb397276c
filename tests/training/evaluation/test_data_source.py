"""Packed sets: the same outcome whether they come from the data or from files, and never from other data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.data import smears
from nas_attn.errors import MachineError, StudyError
from nas_attn.models.network import UNetConfig
from nas_attn.training.evaluation import DataSource, TrainingEvaluator, pack_sets, read_sets, write_sets

CPU = torch.device("cpu")
SOURCE = DataSource(image_size=16, n_train=6, n_val=4)
NETWORK = UNetConfig(in_channels=3, classes=3, depth=2, base_channels=4)
BUDGET = Budget(steps=3, image_size=16, batch_size=2)


def test_files_hold_what_packing_gives(tmp_path: Path) -> None:
    data = SOURCE.load()
    packed = pack_sets(data, CPU)
    read = read_sets(write_sets(data, tmp_path / "packed"), CPU)

    assert packed.train.sizes == ((16, 16),) * 6
    for mine, theirs in ((packed.train, read.train), (packed.val, read.val)):
        for name in ("pixels", "masks", "heights", "widths", "mean", "std"):
            assert torch.equal(getattr(mine, name), getattr(theirs, name)), name


def test_an_evaluation_is_the_same_from_files(tmp_path: Path) -> None:
    folder = write_sets(SOURCE.load(), tmp_path / "packed")
    reader = TrainingEvaluator(NETWORK, SOURCE)
    mapper = replace(reader, packed=str(folder), source=DataSource(folder="/nowhere"))
    one, other = (evaluator(NETWORK.plain, BUDGET, 0) for evaluator in (reader, mapper))

    assert one.score == other.score
    assert one.curve == other.curve


def test_files_are_written_once_and_those_of_other_data_are_removed(tmp_path: Path) -> None:
    data = SOURCE.load()
    folder = write_sets(data, tmp_path / "packed")
    stamp = (folder / "train" / "pixels.npy").stat().st_mtime_ns

    assert write_sets(data, tmp_path / "packed") == folder
    assert (folder / "train" / "pixels.npy").stat().st_mtime_ns == stamp

    other = write_sets(smears(image_size=16, seed=1, n_train=6, n_val=4, n_test=4), tmp_path / "packed")
    assert other != folder
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == [other.name, "CACHEDIR.TAG"]


def test_a_folder_that_others_filled_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "1.png").write_bytes(b"mine")

    with pytest.raises(StudyError, match="images: holds files that nas-attn did not write"):
        write_sets(SOURCE.load(), tmp_path / "images")
    assert [path.name for path in tmp_path.rglob("*")] == ["images", "train", "1.png"]


@pytest.mark.parametrize("name", ["notes", "0123456789abcdef-16.bak", "0123456789abcdef-16"])
def test_what_others_put_beside_the_packed_sets_is_kept(name: str, tmp_path: Path) -> None:
    """Files under names of their own, and links under names of ours."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "1.png").write_bytes(b"mine")
    old = write_sets(SOURCE.load(), tmp_path / "packed")
    (tmp_path / "packed" / name).symlink_to(tmp_path / "theirs")
    write_sets(smears(image_size=16, seed=1, n_train=6, n_val=4, n_test=4), tmp_path / "packed")

    assert not old.exists()
    assert (tmp_path / "packed" / name).is_symlink()
    assert (tmp_path / "theirs" / "1.png").read_bytes() == b"mine"


def test_a_linked_folder_elsewhere_is_filled_and_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "study").mkdir()
    folder = tmp_path / "study" / "packed"
    folder.symlink_to(tmp_path / "elsewhere")
    old = write_sets(SOURCE.load(), folder)
    write_sets(smears(image_size=16, seed=1, n_train=6, n_val=4, n_test=4), folder)

    assert (old / "train" / "pixels.npy").is_file()


KILLED = """
import os, signal, sys
from pathlib import Path
import nas_attn.training.mapped
from nas_attn.training.evaluation import DataSource, write_sets

in_turn, left = nas_attn.training.mapped.in_turn, [int(sys.argv[2])]

def in_turn_or_die(make, number):
    for one in in_turn(make, number):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        yield one

nas_attn.training.mapped.in_turn = in_turn_or_die
write_sets(DataSource(image_size=16, n_train=6, n_val=4).load(), Path(sys.argv[1]))
"""


@pytest.mark.parametrize("n_th", [4, 8], ids=["at the fourth to train on", "at the second to judge"])
def test_what_a_killed_writer_left_is_never_used(n_th: int, tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "packed", str(n_th)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (path for path in (tmp_path / "packed").iterdir() if path.is_dir())
    whole = ["train"] if n_th > 6 else []
    assert [path.name for path in left.iterdir() if not path.name.startswith(".")] == whole
    assert len(list(left.iterdir())) == len(whole) + 1, "its part"

    folder = write_sets(SOURCE.load(), tmp_path / "packed")
    assert folder == left
    assert sorted(path.name for path in folder.iterdir()) == ["train", "val"]
    mine, theirs = read_sets(folder, CPU), pack_sets(SOURCE.load(), CPU)
    assert torch.equal(mine.train.pixels, theirs.train.pixels)
    assert torch.equal(mine.val.masks, theirs.val.masks)


@pytest.mark.parametrize("name", ["train/pixels.npy", "val/masks.npy", "train/facts.json", "val/seal.json"])
def test_what_was_cut_short_is_packed_anew(name: str, tmp_path: Path) -> None:
    folder = write_sets(SOURCE.load(), tmp_path / "packed")
    os.truncate(folder / name, (folder / name).stat().st_size // 2)

    assert write_sets(SOURCE.load(), tmp_path / "packed") == folder
    mine, theirs = read_sets(folder, CPU), pack_sets(SOURCE.load(), CPU)
    assert torch.equal(mine.train.pixels, theirs.train.pixels)
    assert torch.equal(mine.val.masks, theirs.val.masks)


def test_what_was_cut_short_in_a_linked_folder_elsewhere_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "packed").symlink_to(tmp_path / "elsewhere")
    folder = write_sets(SOURCE.load(), tmp_path / "study" / "packed")
    os.truncate(folder / "train" / "pixels.npy", 10)

    with pytest.raises(StudyError, match=f"{folder.name}: does not hold what was written.* delete it by hand"):
        write_sets(SOURCE.load(), tmp_path / "study" / "packed")
    assert (folder / "train" / "pixels.npy").stat().st_size == 10


def test_an_evaluation_whose_images_change_meanwhile_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut by less than a page, a file that is mapped goes on in zeros, and nothing fails."""
    folder = write_sets(SOURCE.load(), tmp_path / "packed")
    evaluator = TrainingEvaluator(NETWORK, SOURCE, packed=str(folder))
    before = evaluator(NETWORK.plain, BUDGET, 0)
    os.truncate(folder / "val" / "masks.npy", (folder / "val" / "masks.npy").stat().st_size - 200)

    with pytest.raises(MachineError, match="changed while they were used"):
        evaluator(NETWORK.plain, BUDGET, 0)
    with pytest.raises(MachineError, match="damaged"):
        evaluator(NETWORK.plain, BUDGET, 0)
    write_sets(SOURCE.load(), tmp_path / "packed")
    assert evaluator(NETWORK.plain, BUDGET, 0).score == before.score


def test_images_for_which_there_is_no_room_are_no_placements_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr("nas_attn.training.evaluation.evaluator.pack_sets", full)
    with pytest.raises(MachineError, match="cpu has not enough memory for the images: CUDA out of memory"):
        TrainingEvaluator(NETWORK, SOURCE)(NETWORK.plain, BUDGET, 0)
