"""Study files: the settings of a search as a file, and the files in a study's folder that repeat it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nas_attn.commands import command
from nas_attn.config.settings import StudyRequest
from nas_attn.document import FileKind, Problems, known_version, parse_document, read_model, read_text, shown_path
from nas_attn.errors import StudyError
from nas_attn.space import space_text
from nas_attn.study.database.sqlite import is_sqlite, sqlite_file
from nas_attn.study.database.storage import describe_storage
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.whole_file import whole_file

if TYPE_CHECKING:
    from nas_attn.study.database.ledger import Ledger
    from nas_attn.study.setup.resolve import Resolved

VERSION = 1
_KIND = FileKind("a study file", f"version: {VERSION}", StudyError)
SPACE_MARK = "# Written by nas-attn: the whole search space of this folder's study."
STORED_MARK = "# Written by nas-attn, for the study that is stored in "
HERE = "this folder"


def read_study_file(path: Path) -> dict[str, Any]:
    """The fields of a study file, checked.

    Raises:
        StudyError: the file cannot be read, or has errors; each is given with its line and field.
    """
    problems = Problems(shown_path(path), _KIND)
    document = known_version(parse_document(read_text(path, _KIND), problems), VERSION, problems)
    if isinstance(document.value, dict):  # what is left empty is left out
        given = {
            name: entry for name, entry in document.value.items() if entry.value is not None or entry.is_broken
        }
        document = replace(document, value=given)
    read_model(document, StudyRequest, problems)
    problems.raise_if_any()
    values: dict[str, Any] = document.plain
    return values


def study_text(values: Mapping[str, Any], *, command: str, mark: str | None = None) -> str:
    """A study file as text.

    Args:
        values: fields of a request.
        command: that runs the file.
        mark: a line that says who wrote it; None for none.
    """
    head = [f"# {command}", *([mark] if mark else [])]
    fields = yaml.safe_dump({"version": VERSION, **values}, sort_keys=False, allow_unicode=True)
    return "\n".join([*head, fields])


def study_values(resolved: Resolved, folder: StudyFolder) -> dict[str, Any]:
    """The fields of the study file, without the URL of a server, which may contain a password."""
    request = replace(
        resolved.request,
        space=str(folder.space),
        data=resolved.settings.source.word,
        max_macs=None,
        max_parameters=None,
        max_cost=resolved.request.max_cost if resolved.settings.max_latency else None,
        start=None,
    )
    values = request.to_dict()
    if request.storage is not None and not is_sqlite(request.storage):
        del values["storage"]
    return values


def write_settings(resolved: Resolved, folder: StudyFolder) -> None:
    """Write the files that repeat a search into its folder.

    Raises:
        StudyError: they cannot be written.
    """
    values, asked = study_values(resolved, folder), resolved.request.storage
    unnamed = "URL" if asked and "storage" not in values else None
    repeat = command("search", config=folder.settings, storage=unnamed)
    text = study_text(values, command=repeat, mark=settings_mark(asked or folder.default_url, folder))
    try:
        write_whole(folder.space, f"{SPACE_MARK}\n{space_text(resolved.settings.space)}")
        write_whole(folder.settings, text)
    except OSError as error:
        raise StudyError(
            f"{folder.path}: the study's settings cannot be written: {error.strerror}; nothing was started"
        ) from None


def write_missing_settings(folder: StudyFolder, ledger: Ledger, written: Mapping[str, object], url: str) -> None:
    """Write the missing ones of these files, with the settings of whoever started the study.

    Args:
        folder: of the study, for files on this machine.
        ledger: of the study.
        written: fields of the study file with which it started.
        url: of its storage.
    Raises:
        StudyError: they cannot be written.
    """
    try:
        if not folder.space.is_file():
            space = yaml.safe_dump(ledger.identity["space"], sort_keys=False, allow_unicode=True)
            write_whole(folder.space, f"{SPACE_MARK}\n{space}")
        if not folder.settings.is_file():
            repeat = command("search", config=folder.settings, storage="URL")
            values = {**written, "space": str(folder.space)}
            write_whole(folder.settings, study_text(values, command=repeat, mark=settings_mark(url, folder)))
    except OSError as error:
        raise StudyError(f"{folder.path}: the study's settings cannot be written: {error.strerror}") from None


def settings_mark(url: str, folder: StudyFolder) -> str:
    """The line of a study file that names its study."""
    return f"{STORED_MARK}{HERE if is_stored_in(url, folder.path / 'study.db') else describe_storage(url)}"


def is_stored_in(url: str, path: Path) -> bool:
    """Whether a URL names a SQLite file."""
    file = sqlite_file(url)
    return file is not None and os.path.realpath(file) == os.path.realpath(path)


def write_whole(path: Path, text: str) -> None:
    """Write a text file completely or not at all.

    Raises:
        OSError: it cannot be written.
    """
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")
