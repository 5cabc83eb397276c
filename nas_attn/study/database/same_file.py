"""Whether a SQLite database is still the file that was opened: SQLite goes on in a file that has no name."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from nas_attn.errors import LostStorageError

_HEADER = 100
_COUNTERS = struct.Struct(">24xI12xI")
"""Of the header, the counter of changes and the one of the schema's changes: neither ever falls."""
_OPEN: dict[tuple[int, int], int] = {}
"""Files whose headers are read, by device and number. They are never closed: whoever closes a file gives up all
locks that his process holds on it (https://www.sqlite.org/howtocorrupt.html, section 2.2)."""


class SameFile:
    """Tells when a database file is removed, replaced, cut short or overwritten, or when its log is removed.

    Only the names are looked up and a hundred bytes are read, so it may be asked before every statement.

    Args:
        path: of a database that this process has open, and keeps open: its log is not removed until then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._log = self._path.with_name(f"{self._path.name}-wal")
        self._shown = path
        self._file, self._size = self._look()
        self._log_file: int | None = None
        if self._file not in _OPEN:
            _OPEN[self._file] = os.open(self._path, os.O_RDONLY)
        self._counters = self._read_counters()

    def check(self) -> None:
        """Raise where it is not the same file any more.

        Raises:
            LostStorageError: what has happened to it.
        """
        file, size = self._look()
        if file != self._file:
            raise self._lost("was replaced by another one")
        if size < self._size:
            raise self._lost("was cut short")
        counters = self._read_counters()
        if any(now < before for now, before in zip(counters, self._counters, strict=True)):
            raise self._lost("was overwritten")
        self._check_log()
        self._size, self._counters = size, counters

    def _check_log(self) -> None:
        try:
            found = self._log.stat().st_ino
        except OSError:
            found = None
        if self._log_file is not None and found != self._log_file:
            raise LostStorageError(f"{self._shown}-wal: the log of the database was removed while it was in use")
        self._log_file = found

    def _look(self) -> tuple[tuple[int, int], int]:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            raise self._lost("was deleted") from None
        except OSError as error:
            raise self._lost(f"cannot be reached ({error.strerror})") from None
        return (found.st_dev, found.st_ino), found.st_size

    def _read_counters(self) -> tuple[int, ...]:
        header = os.pread(_OPEN[self._file], _HEADER, 0)
        return _COUNTERS.unpack_from(header) if len(header) >= _COUNTERS.size else (0, 0)

    def _lost(self, how: str) -> LostStorageError:
        return LostStorageError(f"{self._shown}: the database {how} while it was in use")
