"""Whoever waits at a terminal is told for what."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nas_attn import steps
from nas_attn.cli import _stream
from nas_attn.cli._stream import say


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines for a terminal."""
    lines: list[str] = []
    monkeypatch.setattr(_stream, "SECONDS", 600.0)
    monkeypatch.setattr(_stream.STDERR, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(_stream.STDERR, "write", lines.append, raising=False)
    monkeypatch.setattr(steps, "shown_by", [_stream.waiting])
    return lines


def timers() -> list[threading.Timer]:
    """Those that are yet to go off: the thread of one that was cancelled may live on for a moment."""
    threads = (thread for thread in threading.enumerate() if isinstance(thread, threading.Timer))
    return [timer for timer in threads if not timer.finished.is_set()]


def wait_long() -> None:
    """What happens once every step under way has lasted long enough."""
    for timer in timers():
        timer.function()


def test_a_step_that_lasts_is_named(told: list[str]) -> None:
    with steps.step("reading the images"):
        wait_long()
    assert told == ["reading the images ...\n"]


def test_a_step_within_another_speaks_for_itself(told: list[str]) -> None:
    with steps.step("loading packages"), steps.step("timing a training step"):
        wait_long()
    assert told == ["timing a training step ...\n"]


def test_nothing_is_named_where_something_was_printed_meanwhile(
    told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with steps.step("reading the images"):
        say("the plan")
        wait_long()
    assert told == []


def test_a_step_that_ends_leaves_no_timer(told: list[str]) -> None:
    with steps.step("opening the study's database"):
        assert len(timers()) == 1
    assert (told, timers()) == ([], [])


def test_in_a_log_no_step_is_named(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_stream.STDERR, "isatty", lambda: False, raising=False)
    with steps.step("reading the images"):
        assert timers() == []


def test_a_search_at_a_terminal_says_what_it_does_before_its_plan(tmp_path: Path) -> None:
    """Seen by a pseudo-terminal; every step is named, however fast this machine is."""
    code = (
        "import sys; from nas_attn.cli import _stream; _stream.SECONDS = 0.0; "
        "from nas_attn.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["search", "--trials", "1", "--steps", "2", "--base-channels", "4", "--image-size", "16"]
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "wb"):
        done = subprocess.run(
            [sys.executable, "-c", code, *words, "--space", "unet_attention_small", "--device", "cpu"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=terminal,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
    with os.fdopen(controller, "rb") as seen:
        said = seen.read1(65536).decode()
    assert done.returncode == 0, said
    assert all(
        words in said for words in ("loading packages ...", "reading the images ...", "packing the images ...")
    )
