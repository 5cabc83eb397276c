"""Optuna storages by URL."""

from __future__ import annotations

import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, OperationalError, ProgrammingError

from nas_attn.errors import MissingPackageError, StudyError
from nas_attn.study.database.read_only import connect_read_only, is_read_only
from nas_attn.study.database.same_file import SameFile

_BUSY_SECONDS = 60
_TRIES, _PAUSE_SECONDS = 5, 0.3
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_OPTUNAS = {"studies", "version_info", "alembic_version"}
"""Tables of every database of Optuna's."""
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
_NO_URL = (
    "--storage: no SQLAlchemy URL that can be used; write one such as sqlite:///studies/x/study.db or "
    "postgresql://user@host/name"
)


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file; what means something in a URL, such as ``?`` and ``%``, is quoted."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def is_sqlite(url: str) -> bool:
    """Whether a URL is one of SQLite: then it holds no password."""
    return make_url(url).get_backend_name() == "sqlite"


def sqlite_file(url: str | URL) -> Path | None:
    """The file of a SQLite database, be it there or not; None where a URL names none."""
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def is_missing(url: str) -> bool:
    """Whether a URL names a SQLite file that is not there, and could be made: then no study is in it."""
    path = sqlite_file(url)
    return path is not None and not path.exists() and path.parent.is_dir()


def describe_storage(url: str) -> str:
    """A storage as errors and plans name it: a file's path, or the URL without its password."""
    return str(make_url(url).database) if sqlite_file(url) else url_without_password(url)


def url_without_password(url: str) -> str:
    """A URL that can be shown: ``postgresql://me:***@host/name``; passwords in its query are hidden, too."""
    parsed = make_url(url)
    secret = {name: "***" for name in parsed.query if "pass" in name.lower()}
    return parsed.update_query_dict(secret).render_as_string(hide_password=True)


def open_storage(url: str, *, must_exist: bool = False) -> optuna.storages.RDBStorage:
    """A storage that several processes may use; a SQLite file that cannot be written is only read.

    Raises:
        StudyError: the URL is none, or its file or its folder does not exist.
        MissingPackageError: the database's driver is not installed.
    """
    url = with_driver(url)
    _check(url, must_exist)
    try:
        storage = _made(url, _options(url))
    except RuntimeError as error:  # Optuna's word for tables of another version of its own
        raise StudyError(f"{describe_storage(url)}: {' '.join(str(error).split())}") from None
    if is_sqlite(url) and _read_only_file(url) is None:
        _speed_up(storage.engine)
    return storage


def _options(url: str) -> dict[str, Any]:
    """How connections are made."""
    if (file := _read_only_file(url)) is not None:
        return {"creator": partial(connect_read_only, file)}
    return {"connect_args": {"timeout": _BUSY_SECONDS}} if is_sqlite(url) else {"pool_pre_ping": True}


def _read_only_file(url: str) -> Path | None:
    """The SQLite file of a URL, if it is there and can only be read."""
    file = sqlite_file(url)
    return file if file is not None and is_read_only(file) else None


def with_driver(url: str) -> str:
    """A URL of PostgreSQL or MySQL with the driver that nas-attn installs, unless it names one itself.

    Raises:
        StudyError: it is no URL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StudyError(_NO_URL) from None
    if parsed.drivername not in _DRIVERS:
        return url
    return parsed.set(drivername=_DRIVERS[parsed.drivername]).render_as_string(hide_password=False)


def _made(url: str, options: dict[str, Any]) -> optuna.storages.RDBStorage:
    """The storage; its tables are made where they are missing, by others at the same moment perhaps."""
    for _ in range(_TRIES - 1):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=options)
        except (IntegrityError, ProgrammingError, OperationalError) as error:
            if not any(word in str(error).lower() for word in ("exist", "duplicate", "unique")):
                raise
        time.sleep(_PAUSE_SECONDS)
    return optuna.storages.RDBStorage(url, engine_kwargs=options)


def _speed_up(engine: sqlalchemy.Engine) -> None:
    """Write-ahead logging: readers and the writer do not wait for each other, and a commit waits for no disk.

    A killed process loses nothing by it; a power cut may lose the last trials, but not the database.
    """

    @sqlalchemy.event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")

    engine.dispose()  # Optuna has connected already; later connections are the faster ones


def keep_watch(engine: sqlalchemy.Engine) -> None:
    """Let every use of a SQLite file fail from now on where it is no longer the same file; servers are left alone.

    A connection stays open all the while, so that SQLite itself does not remove the log of the database. No other
    one is opened in vain: that would put an empty database in the place of one that is gone.

    Raises:
        LostStorageError: the file is gone already; later from any use of the engine.
    """
    path = sqlite_file(engine.url)
    if path is None:
        return
    engine.connect().close()  # it goes back to the pool, open
    file = SameFile(path)

    def check(*_: object) -> None:
        file.check()

    sqlalchemy.event.listen(engine, "checkout", check)
    sqlalchemy.event.listen(engine, "do_connect", check)


def check_url(url: str) -> URL:
    """The URL in its parts, if a storage can be opened by it on this machine; nothing is opened.

    Raises:
        StudyError: it is no URL, or its database is not known.
        MissingPackageError: the database's driver is not installed.
    """
    parsed = make_url(with_driver(url))
    try:
        parsed.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise StudyError(_NO_URL) from None
    except ImportError as error:
        extra = _EXTRAS.get(parsed.get_backend_name())
        install = f"pip install 'nas-attn[{extra}]'" if extra else "install the driver of that database"
        raise MissingPackageError(f"--storage: {error}; {install}") from None
    return parsed


def _check(url: str, must_exist: bool) -> None:
    path = sqlite_file(check_url(url))
    if path is None:
        return
    if must_exist and not path.is_file():
        raise StudyError(f"{path}: there is no such study file")
    if not path.parent.is_dir():
        raise StudyError(f"{path}: there is no folder {path.parent}")
    if path.is_file() and path.stat().st_size and not is_read_only(path) and not _is_sqlite(path):
        raise StudyError(f"{path}: no SQLite database, or a broken one; move it away to begin anew, or restore it")
    if path.is_file() and _is_of_others(path):
        raise StudyError(f"{path}: the database of another program; name another file")


def _is_sqlite(path: Path) -> bool:
    """Whether SQLite can read a file.

    SQLite has to look itself. Whoever closes a file gives up all locks that his process holds on it, those of
    other connections too; the next process that opens the database would think itself alone, and delete the log
    into which this one goes on writing (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
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
    """Whether a SQLite file holds tables, and none of Optuna's; SQLite looks, as above."""
    connect = connect_read_only if is_read_only(path) else partial(sqlite3.connect, timeout=_BUSY_SECONDS)
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
