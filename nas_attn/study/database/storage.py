"""Optuna storages by URL."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, OperationalError, ProgrammingError

from nas_attn.errors import MissingPackageError, StudyError

_BUSY_SECONDS = 60
_TRIES, _PAUSE_SECONDS = 5, 0.3
_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
_NO_URL = (
    "--storage: no SQLAlchemy URL that can be used; write one such as sqlite:///studies/x/study.db or "
    "postgresql://user@host/name"
)


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file; what means something in a URL, such as ``?`` and ``%``, is quoted."""
    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def is_sqlite(url: str) -> bool:
    """Whether a URL names a SQLite file: then it holds no password."""
    return make_url(url).get_backend_name() == "sqlite"


def describe_storage(url: str) -> str:
    """A storage as errors and plans name it: a file's path, or the URL without its password."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return parsed.database
    return url_without_password(url)


def url_without_password(url: str) -> str:
    """A URL that can be shown: ``postgresql://me:***@host/name``; passwords in its query are hidden, too."""
    parsed = make_url(url)
    secret = {name: "***" for name in parsed.query if "pass" in name.lower()}
    return parsed.update_query_dict(secret).render_as_string(hide_password=True)


def open_storage(url: str, *, must_exist: bool = False) -> optuna.storages.RDBStorage:
    """A storage that several processes may use.

    Raises:
        StudyError: the URL is none, or its file or its folder does not exist.
        MissingPackageError: the database's driver is not installed.
    """
    url = with_driver(url)
    _check(url, must_exist)
    is_sqlite = make_url(url).get_backend_name() == "sqlite"
    options = {"connect_args": {"timeout": _BUSY_SECONDS}} if is_sqlite else {"pool_pre_ping": True}
    try:
        storage = _made(url, options)
    except RuntimeError as error:  # Optuna's word for tables of another version of its own
        raise StudyError(f"{describe_storage(url)}: {' '.join(str(error).split())}") from None
    if is_sqlite:
        _speed_up(storage.engine)
    return storage


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
    parsed = check_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    path = Path(parsed.database)
    if must_exist and not path.is_file():
        raise StudyError(f"{path}: there is no such study file")
    if not path.parent.is_dir():
        raise StudyError(f"{path}: there is no folder {path.parent}")
    if path.is_file() and path.stat().st_size and not _is_sqlite(path):
        raise StudyError(f"{path}: no SQLite database, or a broken one; move it away to begin anew, or restore it")


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
