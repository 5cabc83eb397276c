"""Files that appear whole or not at all, whatever ends their writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nas_attn.whole_file import whole_file

OLD = b"what was there"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "folder" / "file.json"
    found.parent.mkdir()
    found.write_bytes(OLD)
    return found


def test_what_was_written_takes_the_place_of_the_file(path: Path) -> None:
    with whole_file(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == OLD
        assert part.parent == path.parent, "another folder may be another disk, and a move to it a copy"

    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(path: Path) -> None:
    def write() -> None:
        with whole_file(path) as part:
            part.write_bytes(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()

    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


def test_a_disk_without_room_leaves_the_old_file_and_nothing_else(
    path: Path, room_for: Callable[[int | None], None]
) -> None:
    room_for(300)
    with pytest.raises(OSError, match="File too large"), whole_file(path) as part:
        part.write_bytes(bytes(10_000))

    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


KILLED = """
import os, signal, sys
from pathlib import Path
from nas_attn.whole_file import whole_file

with whole_file(Path(sys.argv[1])) as part:
    part.write_bytes(b"ne")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_that_is_killed_leaves_the_old_file_and_disturbs_no_other_writer(path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == OLD

    with whole_file(path) as part:
        part.write_bytes(b"new")

    assert path.read_bytes() == b"new"


def test_what_a_killed_writer_left_a_day_ago_is_taken_away_and_nothing_else(path: Path) -> None:
    parts = []
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED, path], check=False)
        (part,) = (left for left in path.parent.iterdir() if left not in (path, *parts))
        parts.append(part)
    foreign = path.with_name(".somebody-elses.part")
    foreign.write_bytes(b"")
    day = 24 * 3600
    for age, left in ((day + 60, parts[0]), (day - 60, parts[1]), (2 * day, foreign)):
        os.utime(left, (time.time() - age,) * 2)

    with whole_file(path) as part:
        part.write_bytes(b"new")

    assert sorted(path.parent.iterdir()) == sorted([path, parts[1], foreign])


def test_a_writer_whose_part_was_taken_away_ends_with_an_error_and_the_old_file(path: Path) -> None:
    def write() -> None:
        with whole_file(path) as part:
            part.write_bytes(b"new")
            part.unlink()

    with pytest.raises(FileNotFoundError):
        write()

    assert path.read_bytes() == OLD


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def write(folder: Path, *, fails: bool = False) -> None:
        with whole_file(folder) as part:
            part.mkdir()
            (part / "one").write_bytes(b"1")
            if fails:
                raise KeyboardInterrupt
            (part / "two").write_bytes(b"2")
            assert list(tmp_path.iterdir()) == [part]

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "folder", fails=True)
    assert not list(tmp_path.iterdir())

    write(tmp_path / "folder")
    assert sorted(child.name for child in (tmp_path / "folder").iterdir()) == ["one", "two"]
    with pytest.raises(OSError, match="not empty"), whole_file(tmp_path / "folder") as part:
        part.mkdir()
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_two_writers_at_a_time_do_not_mix(path: Path) -> None:
    with whole_file(path) as first, whole_file(path) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second, longer")

    assert path.read_bytes() == b"first", "the outer block ends last"
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_one(path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)
    with whole_file(link) as part:
        part.write_bytes(b"new")

    assert link.is_symlink()
    assert path.read_bytes() == b"new"
