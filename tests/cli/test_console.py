"""The console of all commands: brackets are letters, and only rich itself steers the terminal."""

from __future__ import annotations

import re

import pytest
from rich.console import Console
from rich.live import Live
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from nas_attn.cli._console import Harmless, wide_console
from nas_attn.cli._stream import Output

NAME = "[/x][red]:bomb: \x1b[2J\x1b]0;t\x07\u202e"
SHOWN = "[/x][red]:bomb: \\x1b[2J\\x1b]0;t"
"""Rich drops the bell by itself."""


class Written:
    """What was printed so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys, self._text = capsys, ""

    def getvalue(self) -> str:
        self._text += self._capsys.readouterr().out
        return self._text


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Written:
    return Written(capsys)


@pytest.fixture
def terminal(written: Written, monkeypatch: pytest.MonkeyPatch) -> Written:
    monkeypatch.setattr(Output, "isatty", lambda self: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return written


def named_table() -> Table:
    table = Table(NAME, title=NAME, caption=NAME)
    table.add_row(NAME)
    table.add_row(Text(NAME, style="red"))
    return table


@pytest.mark.parametrize("shown", [NAME, Text(NAME), named_table()], ids=["text", "styled", "table"])
def test_nothing_in_a_name_means_anything(written: Written, shown: object) -> None:
    wide_console().print(shown)

    assert written.getvalue().count(SHOWN) == (5 if isinstance(shown, Table) else 1)
    assert not re.search(r"[\x1b\x07\u202e]", written.getvalue())


def test_on_a_terminal_our_colours_stay(terminal: Written) -> None:
    wide_console().print(Text(NAME, style="red"))

    assert "\x1b[31m" in terminal.getvalue()
    assert SHOWN in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()


def test_a_live_display_moves_its_own_cursor_only(terminal: Written) -> None:
    console = wide_console()
    with Live(console=console, transient=True, auto_refresh=False) as live:
        live.update(Harmless(named_table()), refresh=True)
        console.print(NAME)
        print("noise of a library")

    assert terminal.getvalue().count(SHOWN) >= 5
    assert "noise of a library" in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()
    assert re.search(r"\x1b\[\d*A", terminal.getvalue()), "rich goes back up over what it drew"


def test_a_progress_bar_works_on_it(terminal: Written) -> None:
    with Progress(console=wide_console(), auto_refresh=False) as progress:
        progress.advance(progress.add_task("segmenting", total=2))
        progress.refresh()

    assert "segmenting" in terminal.getvalue()


def test_elsewhere_than_on_a_terminal_rows_are_wide(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert wide_console().width == 120


def test_a_terminal_keeps_its_width(terminal: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert wide_console().width == 40


def test_a_quiet_console_prints_nothing(written: Written) -> None:
    wide_console(quiet=True).print("much")
    assert written.getvalue() == ""


def test_the_oracle_would_notice(written: Written) -> None:
    """Rich's own console lets all of it through."""
    Console(width=200).print(Text(NAME))
    assert "\x1b[2J" in written.getvalue()
