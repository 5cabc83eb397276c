"""Files that tell when they are no longer what was written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_attn.data import LabelledImages
from nas_attn.errors import MachineError
from nas_attn.training import DeviceImages, Stamp, broken_seal, read_mapped, write_mapped
from nas_attn.training.seal import check_seal, seal

Coordinates = Callable[..., DeviceImages]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sealed = tmp_path / "set" / "train"
    sealed.mkdir(parents=True)
    (sealed / "pixels.npy").write_bytes(bytes(range(256)) * 64)
    (sealed / "facts.json").write_text("{}", encoding="utf-8")
    seal(sealed)
    return sealed


def test_what_was_sealed_is_whole(folder: Path) -> None:
    assert broken_seal(folder) is None
    check_seal(folder)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        pytest.param(
            lambda f: os.truncate(f / "pixels.npy", 100), r"pixels.npy: has 100 bytes and was.*16384", id="cut"
        ),
        pytest.param(lambda f: os.truncate(f / "pixels.npy", 0), "pixels.npy: has 0 bytes", id="emptied"),
        pytest.param(lambda f: os.truncate(f / "pixels.npy", 99999), "pixels.npy: has 99999 bytes", id="grown"),
        pytest.param(lambda f: (f / "pixels.npy").unlink(), "pixels.npy: No such file", id="removed"),
        pytest.param(lambda f: (f / "seal.json").unlink(), "seal.json: No such file", id="of an older version"),
        pytest.param(lambda f: (f / "seal.json").write_text("[1]"), "seal.json: is not what", id="other seal"),
        pytest.param(lambda f: (f / "seal.json").write_text('{"a'), "seal.json: is not what", id="cut seal"),
        pytest.param(lambda f: (f / "facts.json").write_text("[]"), "facts.json: its content", id="other content"),
    ],
)
def test_every_harm_is_named(folder: Path, harm: Callable[[Path], object], told: str) -> None:
    harm(folder)

    with pytest.raises(MachineError, match=f"the decoded images are damaged: .*{told}"):
        check_seal(folder)


@given(st.integers(0, 16383), st.integers(1, 255))
def test_a_single_byte_that_changed_is_found(
    tmp_path_factory: pytest.TempPathFactory, place: int, by: int
) -> None:
    sealed = tmp_path_factory.mktemp("sealed")
    content = bytearray(bytes(range(256)) * 64)
    (sealed / "pixels.npy").write_bytes(content)
    seal(sealed)
    content[place] = (content[place] + by) % 256
    (sealed / "pixels.npy").write_bytes(content)

    assert broken_seal(sealed) == f"{sealed / 'pixels.npy'}: its content is not what was written"


def test_a_set_that_was_cut_short_is_never_read(
    coordinates: Coordinates, labelled: Callable[[DeviceImages], LabelledImages], tmp_path: Path
) -> None:
    write_mapped(labelled(coordinates((12, 20))), (0.0,) * 3, (1.0,) * 3, tmp_path / "train")
    os.truncate(tmp_path / "train" / "masks.npy", (tmp_path / "train" / "masks.npy").stat().st_size - 1)

    with pytest.raises(MachineError, match=r"masks\.npy: has"):
        read_mapped(tmp_path / "train", torch.device("cpu"))


def test_files_that_are_cut_or_written_to_while_they_are_mapped_are_noticed(folder: Path) -> None:
    stamp = Stamp(folder.parent)
    stamp.check()
    os.truncate(folder / "pixels.npy", 16000)

    with pytest.raises(MachineError, match=r"changed while they were used: .*pixels\.npy"):
        stamp.check()


def test_files_that_were_removed_or_replaced_are_still_mapped(folder: Path, tmp_path: Path) -> None:
    """A file that has no name any more lives on until who has opened it closes it."""
    stamp = Stamp(folder.parent)
    (folder / "pixels.npy").unlink()
    stamp.check()
    (tmp_path / "new").write_bytes(b"other")
    os.replace(tmp_path / "new", folder / "facts.json")
    stamp.check()


def test_a_cut_is_noticed_though_the_file_was_replaced_by_a_whole_one_meanwhile(
    folder: Path, tmp_path: Path
) -> None:
    """Another process may have put it right: who has mapped the old one has computed with zeros all the same."""
    stamp = Stamp(folder.parent)
    whole = (folder / "pixels.npy").read_bytes()
    os.truncate(folder / "pixels.npy", 16000)
    (tmp_path / "new").write_bytes(whole)
    os.replace(tmp_path / "new", folder / "pixels.npy")

    assert broken_seal(folder) is None
    with pytest.raises(MachineError, match="changed while they were used"):
        stamp.check()


def test_a_stamp_leaves_no_file_open(folder: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    stamp = Stamp(folder.parent)
    assert len(os.listdir("/proc/self/fd")) == before + 3
    del stamp
    assert len(os.listdir("/proc/self/fd")) == before
