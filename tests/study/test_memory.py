"""What was measured of this machine is remembered in the user's home, if there is one."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from nas_attn.study.memory import default_memory, recall, remember


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
