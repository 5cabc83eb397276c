"""Log files: one for a search, one for each of its workers, with times in UTC."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nas_attn.printable import harmless

_NAMES = ("nas_attn", "py.warnings", "sqlalchemy")
_LEAST = {"sqlalchemy": logging.WARNING}
"""At a lower level, SQLAlchemy logs every statement; at a higher one, broken connections, which would reach the
terminal."""


@contextmanager
def logging_to(path: Path, level: str) -> Iterator[None]:
    """Append what nas-attn logs, and the warnings of every library, to a file.

    If the file cannot be written, for example because the disk is full, nothing is logged and the search
    continues.

    Args:
        path: of the file; its folder is created.
        level: ``debug``, ``info``, ``warning`` or ``error``, the lowest that is written.
    """
    before = {name: logging.getLogger(name).level for name in _NAMES}
    handler = _attach(path, level)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for name in _NAMES:
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).setLevel(before[name])
        handler.close()


def log_for_good(path: Path, level: str) -> None:
    """Like ``logging_to``, but for the whole life of a process, and including everything that it prints, from C
    libraries too."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError:
        file = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(file, stream.fileno())
    os.close(file)
    _attach(path, level)


def _attach(path: Path, level: str) -> logging.Handler:
    handler = _handler(path)
    logging.captureWarnings(True)
    for name in _NAMES:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(max(_LEAST.get(name, 0), logging.getLevelNamesMapping()[level.upper()]))
    return handler


def _handler(path: Path) -> logging.Handler:
    handler: logging.Handler
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _Quiet(path, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return logging.NullHandler()
    formatter = _Harmless("%(asctime)sZ %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    return handler


class _Harmless(logging.Formatter):
    """Lines that are safe for a terminal, because they quote names of files and classes."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or several lines with a traceback."""
        return harmless(super().format(record))


class _Quiet(logging.FileHandler):
    """Ignores lines that cannot be written, even if this only shows when the file is closed."""

    def close(self) -> None:
        """Close the file, with or without the lines that could not be written."""
        with suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # the name that logging calls
        """Continue without the line."""
