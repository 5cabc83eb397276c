"""Optuna storages by URL."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)

from nas_attn.errors import MissingPackageError, StudyError
from nas_attn.study.database.sqlite import (
    BUSY_SECONDS,
    check_database,
    connect_read_only,
    is_read_only,
    is_sqlite,
    speed_up,
    sqlite_file,
)

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


def describe_storage(url: str) -> str:
    """The name of a storage in errors and plans: a file's path, or the URL without its password."""
    return str(make_url(url).database) if sqlite_file(url) else url_without_password(url)


def url_without_password(url: str) -> str:
    """A URL without secrets: ``postgresql://me:***@host/name``; passwords in its query are hidden too."""
    parsed = make_url(url)
    secret = {name: "***" for name in parsed.query if "pass" in name.lower()}
    return parsed.update_query_dict(secret).render_as_string(hide_password=True)


def open_storage(url: str, *, must_exist: bool = False) -> optuna.storages.RDBStorage:
    """Open a storage that several processes may use. A SQLite file that cannot be written is only read.

    Raises:
        StudyError: it is not a URL, or its file or its folder does not exist.
        MissingPackageError: the database's driver is not installed.
    """
    url = with_driver(url)
    _check(url, must_exist)
    try:
        storage = _made(url, _options(url))
    except RuntimeError as error:  # Optuna's word for tables of another version of its own
        raise StudyError(f"{describe_storage(url)}: {' '.join(str(error).split())}") from None
    if is_sqlite(url) and _read_only_file(url) is None:
        speed_up(storage.engine)
    return storage


def _options(url: str) -> dict[str, Any]:
    """Options of connections."""
    if (file := _read_only_file(url)) is not None:
        return {"creator": partial(connect_read_only, file)}
    return {"connect_args": {"timeout": BUSY_SECONDS}} if is_sqlite(url) else {"pool_pre_ping": True}


def _read_only_file(url: str) -> Path | None:
    """The SQLite file of a URL, if it exists and can only be read."""
    file = sqlite_file(url)
    return file if file is not None and is_read_only(file) else None


def with_driver(url: str) -> str:
    """A URL of PostgreSQL or MySQL with the driver that nas-attn installs, unless it names one itself.

    Raises:
        StudyError: it is not a URL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StudyError(_NO_URL) from None
    if parsed.drivername not in _DRIVERS:
        return url
    return parsed.set(drivername=_DRIVERS[parsed.drivername]).render_as_string(hide_password=False)


def _made(url: str, options: dict[str, Any]) -> optuna.storages.RDBStorage:
    """The storage. Missing tables are created, perhaps by other processes at the same time."""
    for _ in range(_TRIES - 1):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=options)
        except (IntegrityError, ProgrammingError, OperationalError) as error:
            if not any(word in str(error).lower() for word in ("exist", "duplicate", "unique")):
                raise
        time.sleep(_PAUSE_SECONDS)
    return optuna.storages.RDBStorage(url, engine_kwargs=options)


def check_url(url: str) -> URL:
    """The parts of a URL, if this machine can open a storage by it; nothing is opened.

    Raises:
        StudyError: it is not a URL, or its database is not known.
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
    if path.is_file():
        check_database(path)
