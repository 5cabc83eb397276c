"""A line for each step that keeps people waiting, on a terminal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nas_attn.cli._stream import STDERR, STDOUT
from nas_attn.printable import harmless

SECONDS = 1.5
"""So long a step may last before it is named."""
_under_way: list[str] = []


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Name a step by what it does, once it has lasted a while, unless something else was printed meanwhile."""
    if not STDERR.isatty():
        yield
        return
    before = _written()
    timer = threading.Timer(SECONDS, lambda: _tell(what, before))
    timer.daemon = True
    _under_way.append(what)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _under_way.pop()


def _tell(what: str, before: int) -> None:
    """A step within this one speaks for itself."""
    if _written() == before and _under_way[-1:] == [what]:
        STDERR.write(harmless(f"{what} ...") + "\n")
        STDERR.flush()


def _written() -> int:
    return STDOUT.n_written + STDERR.n_written
