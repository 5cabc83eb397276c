"""The files in a study's folder: the search may only replace files that it wrote itself, and never the data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from nas_attn.architecture import read_architecture
from nas_attn.commands import command
from nas_attn.config.settings import BUILT_IN
from nas_attn.data.readers import asked_reader
from nas_attn.errors import NasAttnError, StudyError
from nas_attn.models.catalogue import catalogue
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.database.sqlite import is_sqlite
from nas_attn.study.database.storage import describe_storage
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.study_file import HERE, SPACE_MARK, STORED_MARK, is_stored_in, read_study_file

_COMMAND = f"# {command('search')} --config "
_ELSEWHERE = "a storage that it does not name"
_PARTS = ("", "images", "masks")
"""Parts of a data set; each may be a link to another place."""


def check_storage(folder: StudyFolder, url: str, ledger: Ledger | None) -> None:
    """Check that a folder has no files of a study in another storage.

    Args:
        folder: of the study.
        url: of its storage.
        ledger: of the study; None if it has not started.
    Raises:
        StudyError: it has.
    """
    there = _stored_in(folder)
    if there is None or _is_same(there, url, folder):
        return
    if "://" in there and not is_sqlite(url) and ledger is not None and _was_begun_so(folder, ledger):
        return  # machines may know one server by different names
    there = "its study.db" if there == HERE else there
    asked = "its study.db" if _is_here(url, folder) else describe_storage(url)
    raise StudyError(
        f"{folder.path}: holds the files of the study in {there}, which the study in {asked} would replace; use "
        "another --study, or that --storage"
    )


def check_own(folder: StudyFolder, url: str, ledger: Ledger | None) -> None:
    """Check that a search only replaces files that a search of the same study has written.

    Args:
        folder: of the study.
        url: of its storage.
        ledger: of the study; None if it has not started.
    Raises:
        StudyError: files of others are in the place of the search's own; all of them are reported.
    """
    check_storage(folder, url, ledger)
    begins = ledger is None or not folder.settings.is_file()
    foreign = [path for path, is_own in _judged(folder, ledger, begins) if os.path.lexists(path) and not is_own]
    if foreign:
        raise StudyError(
            [
                f"{path}: was not written by this study's search, which would replace it; move it elsewhere, or "
                "take another --study"
                for path in foreign
            ]
        )


def _judged(folder: StudyFolder, ledger: Ledger | None, begins: bool) -> Iterator[tuple[Path, bool]]:
    """The files that a search is going to write, and whether existing ones are its own."""
    if begins:
        yield folder.settings, _lines(folder.settings)[0].startswith(_COMMAND)
        yield folder.space, _is_own_space(folder)
    yield folder.best, is_own_best(folder, ledger)


def _is_own_space(folder: StudyFolder) -> bool:
    first, second = _lines(folder.settings)
    from_before_marks = first.startswith(_COMMAND) and not second.startswith(STORED_MARK)
    return from_before_marks or _lines(folder.space)[0] == SPACE_MARK


def is_own_best(folder: StudyFolder, ledger: Ledger | None) -> bool:
    """Whether the folder has a best architecture of this study and one of its trials.

    False if it was changed by hand.

    Args:
        folder: of the study.
        ledger: of the study; None if it has not started.
    """
    try:
        best = read_architecture(folder.best, catalogue())
    except NasAttnError:
        return False
    if best.found is None or ledger is None or best.found.study != ledger.name:
        return False
    return any(record.placement == best.placement for record in ledger.records())


def _lines(path: Path) -> tuple[str, str]:
    """The first two lines of a file; empty if it has none."""
    try:
        if not path.is_file():
            return "", ""
        first, second, *_ = [*path.read_text(encoding="utf-8").splitlines()[:2], "", ""]
    except (OSError, ValueError):
        return "", ""
    return first, second


def _stored_in(folder: StudyFolder) -> str | None:
    """The storage that a folder's study file names; None if it names none."""
    first, second = _lines(folder.settings)
    if not first.startswith(_COMMAND):
        return HERE if folder.has_database and Ledger.exists(folder.default_url, folder.name) else None
    if second.startswith(STORED_MARK):
        return second.removeprefix(STORED_MARK)
    if first.endswith(" --storage URL"):  # before the mark, and without the URL of a server
        return _ELSEWHERE
    try:
        storage = read_study_file(folder.settings).get("storage")
    except StudyError:
        return None
    return HERE if storage is None else describe_storage(str(storage))


def _was_begun_so(folder: StudyFolder, ledger: Ledger) -> bool:
    """Whether the study file has the settings with which the study started."""
    try:
        return bool(read_study_file(folder.settings) == ledger.context.get("request", {}))
    except StudyError:
        return False


def _is_same(there: str, url: str, folder: StudyFolder) -> bool:
    """Whether the storage named in a study file is that of a URL, or no longer exists."""
    if there == HERE:
        return _is_here(url, folder) or not folder.has_database
    if there == _ELSEWHERE:
        return not is_sqlite(url)
    if "://" not in there:
        return is_stored_in(url, Path(there)) or not Path(there).is_file()
    return _place(there) == _place(url)


def _is_here(url: str, folder: StudyFolder) -> bool:
    return is_stored_in(url, folder.path / "study.db")


def _place(url: str) -> tuple[object, ...] | None:
    """The database that a URL names, whatever the user and the driver."""
    try:
        parsed: URL = make_url(url)
    except ArgumentError:
        return None
    backend = {"postgres": "postgresql", "mariadb": "mysql"}.get(name := parsed.drivername.partition("+")[0], name)
    return backend, parsed.host, parsed.port, parsed.database


def check_apart(data: str, folder: StudyFolder) -> None:
    """Check that the data are not in a study's folder, nor the folder in the data; links are followed.

    Args:
        data: a folder of images and masks, built-in data, or data of a reader.
        folder: of the study; it need not exist.
    Raises:
        StudyError: one contains the other.
    """
    if not means_folder(data):
        return
    study = os.path.realpath(folder.path)
    for part in _PARTS:
        place = os.path.realpath(Path(data) / part)
        if _identity(study) in _identities(place) or _identity(place) in _identities(study):
            raise StudyError(
                f"--data {data}: {part and f'its {part}/ '}{_relation(place, study)} the study's folder, "
                f"{folder.path}{_at(folder.path, study)}; keep the two apart: take another --study, or another "
                "folder for the data"
            )


def means_folder(data: str) -> bool:
    """Whether ``--data`` is a folder of images and masks, not built-in data or data of a reader."""
    return data not in BUILT_IN and asked_reader(data) is None


def _identities(path: str) -> set[tuple[int, int]]:
    """A path and all folders above it, as the disk identifies them, so that letter case and mounts make no
    difference."""
    return {found for place in (Path(path), *Path(path).parents) if (found := _identity(place))}


def _identity(path: str | Path) -> tuple[int, int] | None:
    """The identity of a path on the disk; None if it does not exist."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _relation(place: str, study: str) -> str:
    if _identity(place) == _identity(study):
        return "is"
    return "lies in" if _identity(study) in _identities(place) else "contains"


def _at(path: Path, real: str) -> str:
    """The target, if links lead to another place."""
    return "" if os.path.abspath(path) == real else f" (which is {real})"
