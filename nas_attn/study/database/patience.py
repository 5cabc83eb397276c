"""Errors of a database: wait if they may pass, otherwise report them in a line."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from nas_attn.errors import LostStorageError, StudyError
from nas_attn.study.database.storage import describe_storage

Result = TypeVar("Result")

SECONDS = 600.0
START_SECONDS = 60.0
"""For a server that has never answered this process: perhaps there is none at that address."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_BROKEN = ("malformed", "not a database", "no such table", "disk I/O error")
"""Errors of SQLite for a file to which another program has written."""
_BUSY = ("database is locked", "database table is locked")
_FINAL = (
    "authentication",
    "no password supplied",
    "access denied",
    "no pg_hba.conf entry",
    "does not exist",
    "unknown database",
    "name or service not known",
    "nodename nor servname",
    "could not translate host name",
)
"""Errors of a server or the network that waiting does not change."""

_REACHED: set[str] = set()
"""URLs of the databases that have answered this process."""

log = logging.getLogger(__name__)


def reached(act: Callable[[], Result], url: str) -> Result:
    """Access a database patiently, and report a persistent error in a line.

    Args:
        act: as in ``patiently``.
        url: of the database.
    Raises:
        StudyError: the database cannot be used.
        LostStorageError: it is broken.
    """
    with clear_errors(url):
        return patiently(act, url)


def patiently(act: Callable[[], Result], url: str, *, seconds: float | None = None) -> Result:
    """Access a database, and repeat this while its server restarts or cannot be reached.

    Args:
        act: must be safe to repeat, because a connection may break after it has succeeded.
        url: of the database, for the log.
        seconds: after which the error is raised; None means ten minutes, or one minute if the server has never
            answered.
    """
    if seconds is None:
        seconds = SECONDS if url in _REACHED else START_SECONDS
    end, pause, told = time.monotonic() + seconds, _FIRST_PAUSE, False
    while True:
        try:
            result = act()
        except (DBAPIError, StorageInternalError) as error:
            if not _may_pass(error) or time.monotonic() >= end:
                raise
            if not told and pause > 1:
                log.warning("%s cannot be used; trying again for %.0f seconds", describe_storage(url), seconds)
                told = True
        else:
            _REACHED.add(url)
            if told:
                log.warning("%s can be used again", describe_storage(url))
            return result
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _may_pass(error: Exception) -> bool:
    """Whether an error concerns the connection, or a conflict between two writers."""
    if isinstance(error, StorageInternalError):
        return isinstance(error.__cause__, DBAPIError) and _may_pass(error.__cause__)
    if not isinstance(error, (OperationalError, InterfaceError)):
        return isinstance(error, DBAPIError) and error.connection_invalidated
    if type(error.orig).__module__.startswith("sqlite3"):
        return any(words in str(error.orig) for words in _BUSY)
    return not any(words in str(error.orig).lower() for words in _FINAL)


@contextmanager
def clear_errors(url: str) -> Iterator[None]:
    """Turn errors of the database into one line that names the storage."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ or error
        line = " ".join(str(getattr(cause, "orig", None) or cause).split())
        if any(sign in line for sign in _BROKEN):
            raise LostStorageError(f"{describe_storage(url)}: the database is broken: {line}") from error
        mend = "free some space, and the same command resumes" if "full" in line else "nothing in it was changed"
        raise StudyError(f"{describe_storage(url)}: the storage cannot be used: {line}; {mend}") from error
