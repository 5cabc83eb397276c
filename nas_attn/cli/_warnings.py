"""What goes wrong during a search and is mended, as lines of the terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console

from nas_attn.cli._stream import OutputError


@contextmanager
def warnings_on(console: Console) -> Iterator[None]:
    """Print what nas-attn logs as a warning or an error; a live display stays below."""
    handler = _OnConsole(console)
    logger = logging.getLogger("nas_attn")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _OnConsole(logging.Handler):
    """A line for each record."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        with suppress(OutputError):  # who logs is not to blame, and what is printed next says so
            self._console.print(f"{record.levelname.lower()}: {record.getMessage()}", soft_wrap=True)
