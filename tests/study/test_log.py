"""What goes to the log file, and what does not reach the terminal."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from nas_attn.study.log import logging_to


@pytest.mark.parametrize("level", ["debug", "info", "error"])
def test_connections_that_break_are_told_to_the_log_and_not_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], level: str
) -> None:
    """SQLAlchemy tells of them as errors, with a traceback, while a server is restarted."""
    with logging_to(tmp_path / "search.log", level):
        logging.getLogger("sqlalchemy.pool.impl.QueuePool").error("Exception during reset or similar")
        logging.getLogger("sqlalchemy.engine.Engine").info("SELECT 1")

    assert capfd.readouterr() == ("", "")
    (line,) = (tmp_path / "search.log").read_text().splitlines()
    assert line.endswith("Z ERROR   Exception during reset or similar")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_disk_that_is_full_when_the_log_is_closed_ends_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """The lines for which there was no room are written once more when the file is closed."""
    with logging_to(Path("/dev/full"), "info"):
        logging.getLogger("nas_attn.study").info("a line for which there is no room")

    assert capfd.readouterr() == ("", "")
    assert not any(isinstance(one, logging.FileHandler) for one in logging.getLogger("nas_attn").handlers)
