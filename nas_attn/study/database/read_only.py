"""A SQLite database in a place that cannot be written: a read-only mount, or the folder of somebody else.

SQLite wants two more files beside a database with a write-ahead log, even to read it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

_LOG = "-wal"


def is_read_only(path: Path) -> bool:
    """Whether a database is there that cannot be opened as usual, since nothing can be written beside it."""
    return os.path.isfile(path) and not (_may_write(path) and _may_write(path.parent))


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that only reads, and that needs no file to be written.

    Where there is no log, nobody has the database open, so it does not change. Where there is one, its trials
    count: it is read with the index that is there, or else from a copy in memory.

    Raises:
        sqlite3.DatabaseError: the file cannot be read, or is no database.
        OSError: likewise.
    """
    if not path.with_name(path.name + _LOG).exists():
        return _connected(path, "immutable=1")
    try:
        return _connected(path, "mode=ro")
    except sqlite3.OperationalError:
        return _copied(path)


def _connected(path: Path, how: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?{how}"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _copied(path: Path) -> sqlite3.Connection:
    """What the database and its log hold at this moment."""
    memory = sqlite3.connect(":memory:", check_same_thread=False)
    with tempfile.TemporaryDirectory(prefix="nas-attn-") as folder:
        for name in (path.name, path.name + _LOG):
            shutil.copyfile(path.with_name(name), Path(folder) / name)
        with closing(sqlite3.connect(Path(folder) / path.name)) as copy:
            copy.backup(memory)
    return memory


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
