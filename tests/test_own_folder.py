"""Folders that bear our mark, and the rest of the disk, in which nothing is deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nas_attn.errors import StudyError
from nas_attn.own_folder import MARK, is_own, own_folder, remove_from


def test_a_folder_is_made_with_its_mark_and_known_by_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    own_folder(folder)
    (folder / "ours").touch()
    own_folder(folder)

    assert is_own(folder)
    assert sorted(path.name for path in folder.iterdir()) == [MARK, "ours"]
    first = (folder / MARK).read_text().splitlines()[0]
    assert first == "Signature: 8a477f597d28d172789f06886806bc55", "https://bford.info/cachedir"


@pytest.mark.parametrize("name", ["1.png", MARK, ".hidden", ".nas-attn-mine.part"])
def test_a_folder_with_files_of_others_is_refused_and_not_marked(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(StudyError, match="holds files that nas-attn did not write"):
        own_folder(tmp_path)

    assert not is_own(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {name: b"mine"}


def test_what_a_killed_writer_left_is_nobodys_file(tmp_path: Path) -> None:
    (tmp_path / ".nas-attn-0123456789abcdef.part").touch()
    own_folder(tmp_path)

    assert is_own(tmp_path)


def _unmarked(folder: Path, home: Path) -> None:
    (folder / MARK).unlink()


def _of_another_program(folder: Path, home: Path) -> None:
    (folder / MARK).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# made by another program\n")


def _link_to_the_data(folder: Path, home: Path) -> None:
    (folder / "old").rename(home.parent / "data")
    (folder / "old").symlink_to(home.parent / "data")


def _elsewhere(folder: Path, home: Path) -> None:
    folder.rename(home.parent / "elsewhere")
    folder.symlink_to(home.parent / "elsewhere")


@pytest.mark.parametrize("change", [_unmarked, _of_another_program, _link_to_the_data, _elsewhere])
def test_nothing_is_deleted_but_in_a_marked_folder_that_lies_at_home(
    change: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    home, folder = tmp_path / "home", tmp_path / "home" / "cache"
    own_folder(folder)
    (folder / "old").mkdir()
    (folder / "old" / "1.png").write_bytes(b"mine")
    change(folder, home)
    remove_from(folder, "old", home)
    assert (folder / "old" / "1.png").read_bytes() == b"mine"


def test_a_folder_in_ours_is_deleted_and_what_it_links_to_is_not(tmp_path: Path) -> None:
    own_folder(tmp_path / "cache")
    (tmp_path / "1.png").write_bytes(b"mine")
    (tmp_path / "cache" / "old").mkdir()
    (tmp_path / "cache" / "old" / "1.png").symlink_to(tmp_path / "1.png")
    remove_from(tmp_path / "cache", "old", tmp_path)

    assert not (tmp_path / "cache" / "old").exists()
    assert (tmp_path / "1.png").read_bytes() == b"mine"
