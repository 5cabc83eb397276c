"""Folders and files that this user may not enter or read: one line each, and no more than that."""

from __future__ import annotations

import shutil

import pytest

from nas_attn.data import check_folder, read_folder
from nas_attn.errors import DataError


@pytest.fixture
def folder(make_folder, open_folder):
    made = open_folder / "data"
    shutil.copytree(make_folder(), made)
    made.chmod(0o755)
    check_folder(made)  # imports all that is needed, which another user may not be able to
    yield made
    for path in (open_folder / "data", *sorted(made.rglob("*"))):
        path.chmod(0o755)


def problems(folder, as_nobody):
    with as_nobody():
        report = check_folder(folder)
        if report.usable:
            read_folder(folder)
            return ()
        with pytest.raises(DataError) as raised:
            read_folder(folder)
    assert raised.value.problems == report.problems
    return report.problems


@pytest.mark.parametrize("name", ["lost+found", "private"])
def test_a_closed_folder_beside_the_images_is_nothing_to_us(folder, as_nobody, name):
    (folder / name).mkdir(mode=0)

    assert problems(folder, as_nobody) == ()


@pytest.mark.parametrize("part", ["images", "masks", "images/train"])
def test_the_lost_and_found_of_a_disk_that_holds_images_is_nothing_to_us(folder, as_nobody, part):
    (folder / part / "lost+found").mkdir(mode=0)

    assert problems(folder, as_nobody) == ()


@pytest.mark.parametrize(
    ("closed", "mode", "lines"),
    [
        ("masks", 0, ["masks/: cannot be listed: Permission denied"]),
        ("images", 0o711, ["images/: cannot be listed: Permission denied"]),
        (
            "masks",
            0o644,
            [f"masks/{split}: cannot be reached: Permission denied" for split in ("test", "train", "val")],
        ),
        ("masks/train", 0, ["masks/train/: cannot be listed: Permission denied"]),
        (
            "images/val",
            0o644,
            [f"images/val/{name}.png: cannot be reached: Permission denied" for name in ("a", "b")],
        ),
        (".", 0, ["{folder}: cannot be looked into: Permission denied"]),
        (".", 0o644, ["{folder}: cannot be looked into: Permission denied"]),
    ],
    ids=lambda value: oct(value) if isinstance(value, int) else None,
)
def test_what_is_closed_is_named_and_nothing_that_follows_from_it(folder, as_nobody, closed, mode, lines):
    (folder / closed).chmod(mode)

    assert problems(folder, as_nobody) == tuple(line.format(folder=folder) for line in lines)


def test_a_folder_that_can_be_entered_but_not_listed_is_read(folder, as_nobody):
    folder.chmod(0o711)

    assert problems(folder, as_nobody) == ()


def test_a_folder_below_a_closed_one_is_named(folder, as_nobody):
    folder.parent.chmod(0o600)
    try:
        assert problems(folder, as_nobody) == (f"{folder}: cannot be looked into: Permission denied",)
    finally:
        folder.parent.chmod(0o755)


def test_a_folder_without_masks_is_described_around_a_closed_one(folder, as_nobody):
    shutil.rmtree(folder / "masks")
    (folder / "lost+found").mkdir(mode=0)

    (line,) = problems(folder, as_nobody)
    assert "no masks/; found images/, lost+found/; expected" in line


def test_the_command_says_so_in_one_line(folder, as_nobody, capsys):
    from nas_attn.cli import data, main, search  # noqa: F401

    (folder / "masks").chmod(0)
    main.main(["data", "check", str(folder)])
    capsys.readouterr()
    with as_nobody():
        assert main.main(["data", "check", str(folder)]) == 2
    assert capsys.readouterr().err == "nas-attn: error: masks/: cannot be listed: Permission denied\n"


def test_a_mask_that_cannot_be_read_is_named(folder, as_nobody):
    (folder / "masks/train/a.png").chmod(0)

    (line,) = problems(folder, as_nobody)
    assert line.startswith("masks/train/a.png: ")
    assert "Permission denied" in line
