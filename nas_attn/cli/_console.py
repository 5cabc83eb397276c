"""Where commands print."""

from __future__ import annotations

from rich.console import Console

LEAST_WIDTH = 120


def wide_console() -> Console:
    """The terminal; elsewhere (a pipe, a file, CI) at least 120 columns, so that tables keep their rows."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(LEAST_WIDTH, console.width))
