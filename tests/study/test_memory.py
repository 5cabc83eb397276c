"""What was measured of this machine: remembered where that is possible, and done without where it is not."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from nas_attn.study.memory import default_memory, recall, remember


def test_what_was_measured_is_remembered(tmp_path: Path) -> None:
    memory = tmp_path / "cache" / "precision.json"
    remember(memory, {"cpu": "float32"})

    assert recall(memory, ["float32"]) == {"cpu": "float32"}
    assert recall(memory, ["bfloat16"]) == {}


def a_file_above(place: Path) -> None:
    place.write_text("a file where the folder should be")


def a_folder_instead(place: Path) -> None:
    (place / "precision.json").mkdir(parents=True)


def links_in_a_circle(place: Path) -> None:
    place.mkdir()
    (place / "precision.json").symlink_to("workers.json")
    (place / "workers.json").symlink_to("precision.json")


def folders_in_a_circle(place: Path) -> None:
    place.symlink_to("cache")


def brackets(place: Path) -> None:
    place.mkdir()
    (place / "precision.json").write_text("[" * 100_000)


def bytes_that_are_no_text(place: Path) -> None:
    place.mkdir()
    (place / "precision.json").write_bytes(b"\xff\xfe\x00")


@pytest.mark.parametrize(
    "spoil",
    [a_file_above, a_folder_instead, links_in_a_circle, folders_in_a_circle, brackets, bytes_that_are_no_text],
    ids=lambda spoil: spoil.__name__,
)
def test_a_cache_that_cannot_be_used_is_done_without(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    spoil(tmp_path / "cache")
    memory = tmp_path / "cache" / "precision.json"

    assert recall(memory, ["float32"]) == {}
    remember(memory, {"cpu": "float32"})
    assert recall(memory, ["float32"]) in ({}, {"cpu": "float32"})


@pytest.mark.parametrize("mode", [0, 0o400, 0o500])
def test_a_cache_that_is_closed_is_done_without(
    mode: int, open_folder: Path, as_nobody: Callable[[], AbstractContextManager[None]]
) -> None:
    memory = open_folder / "cache" / "precision.json"
    remember(memory, {"cpu": "float32"})
    memory.parent.chmod(mode)
    try:
        with as_nobody():
            recall(memory, ["float32"])
            remember(memory, {"cpu": "bfloat16"})
    finally:
        memory.parent.chmod(0o755)
    assert recall(memory, ["float32", "bfloat16"]) == {"cpu": "float32"}


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the machine does not know, without HOME: so are containers begun."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_what_was_measured_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    memory = default_memory("workers")
    assert memory == tmp_path / ".cache" / "nas-attn" / "workers.json"
    remember(memory, {"here": "3"})
    assert recall(memory, ["3"]) == {"here": "3"}
    assert recall(memory, ["4"]) == {}


def test_without_a_home_nothing_is_remembered(homeless: None) -> None:
    memory = default_memory("workers")
    assert memory is None
    remember(memory, {"here": "3"})
    assert recall(memory, ["3"]) == {}
