"""SQLite databases: URLs, read-only access, and checks that a file is still the same."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import quote

import sqlalchemy
from sqlalchemy.engine import URL, make_url

from nas_attn.errors import LostStorageError, StudyError

BUSY_SECONDS = 60
_OPTUNAS = {"studies", "version_info", "alembic_version"}
"""Tables of every Optuna database."""
_LOG = "-wal"
_HEADER = 100
_COUNTERS = struct.Struct(">24xI12xI")
"""In the header, the counter of changes and that of schema changes, which never decrease."""
_OPEN: dict[tuple[int, int], int] = {}
"""Files whose headers are read, by device and number. They are never closed, because closing a file releases all
locks of the process on it (https://www.sqlite.org/howtocorrupt.html, section 2.2)."""


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file; characters with a meaning in URLs, such as ``?`` and ``%``, are quoted."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def is_sqlite(url: str) -> bool:
    """Whether a URL belongs to SQLite, so that it contains no password."""
    return make_url(url).get_backend_name() == "sqlite"


def sqlite_file(url: str | URL) -> Path | None:
    """The file of a SQLite database, whether it exists or not; None if a URL names none."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def is_missing(url: str) -> bool:
    """Whether a URL names a SQLite file that does not exist, so that no study is in it."""
    path = sqlite_file(url)
    return path is not None and not path.exists() and path.parent.is_dir()


def check_database(path: Path) -> None:
    """Check that a file may be an Optuna database; it may be empty.

    Raises:
        StudyError: it is something else, or has the tables of another program.
    """
    if path.stat().st_size and not is_read_only(path) and not _is_sqlite(path):
        raise StudyError(f"{path}: no SQLite database, or a broken one; move it away to start over, or restore it")
    if _is_of_others(path):
        raise StudyError(f"{path}: the database of another program; name another file")


def _is_sqlite(path: Path) -> bool:
    """Whether SQLite can read a file.

    SQLite itself has to open it. Closing a file releases all locks of the process on it, including those of other
    connections. The next process to open the database would consider itself alone and delete the log into which
    this one is still writing (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError:
        return True  # a database that cannot be read at the moment
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
    return True


def _is_of_others(path: Path) -> bool:
    """Whether a SQLite file has tables, but none of Optuna's; opened by SQLite, as above."""
    connect = connect_read_only if is_read_only(path) else partial(sqlite3.connect, timeout=BUSY_SECONDS)
    try:
        connection = connect(path)
    except (OSError, sqlite3.Error):
        return False
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return False  # it cannot be read at the moment
    finally:
        connection.close()
    return bool(tables) and not tables & _OPTUNAS


def is_read_only(path: Path) -> bool:
    """Whether a database exists that cannot be opened as usual, because its folder is not writable."""
    return os.path.isfile(path) and not (_may_write(path) and _may_write(path.parent))


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that only reads, and that needs to write no file.

    Without a log, nobody has the database open, so it does not change. With a log, its trials count: it is read
    with the existing index, or else from a copy in memory.

    Raises:
        sqlite3.DatabaseError: the file cannot be read, or is not a database.
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
    """The current content of the database and its log, in memory."""
    memory = sqlite3.connect(":memory:", check_same_thread=False)
    with tempfile.TemporaryDirectory(prefix="nas-attn-") as folder:
        for name in (path.name, path.name + _LOG):
            shutil.copyfile(path.with_name(name), Path(folder) / name)
        with closing(sqlite3.connect(Path(folder) / path.name)) as copy:
            copy.backup(memory)
    return memory


def speed_up(engine: sqlalchemy.Engine) -> None:
    """Use write-ahead logging: readers and the writer do not wait for each other, and a commit does not wait for
    the disk.

    A killed process loses nothing. A power cut may lose the last trials, but not the database.
    """

    @sqlalchemy.event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    engine.dispose()  # Optuna has connected already; later connections are the faster ones


def keep_watch(engine: sqlalchemy.Engine) -> None:
    """Let every use of a SQLite file fail from now on if it is no longer the same file. Servers are not checked.

    A connection stays open all the time, so that SQLite itself does not remove the log of the database. No other
    connection is opened for checking, because it would create an empty database in place of a deleted one.

    Raises:
        LostStorageError: the file is already gone; later, from any use of the engine.
    """
    path = sqlite_file(engine.url)
    if path is None:
        return
    engine.connect().close()  # it goes back to the pool, open
    file = _SameFile(path)

    def check(*_: object) -> None:
        file.check()

    sqlalchemy.event.listen(engine, "checkout", check)
    sqlalchemy.event.listen(engine, "do_connect", check)


class _SameFile:
    """Detects that a database file was removed, replaced, truncated or overwritten, or that its log was removed.

    It only looks up the names and reads a hundred bytes, so it can be called before every statement.

    Args:
        path: of a database that this process keeps open, so that its log is not removed.
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
        """Check that it is still the same file.

        Raises:
            LostStorageError: it is not, with what has happened.
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
