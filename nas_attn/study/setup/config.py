"""Study files: a search written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from nas_attn.errors import SpaceError, StudyError, did_you_mean
from nas_attn.space.document import parse_document
from nas_attn.space.entry import Entry, Problems
from nas_attn.space.source import read_text, shown_path
from nas_attn.study.setup.request import FIELDS, request_problems

VERSION = 1


def read_study_file(path: Path) -> dict[str, Any]:
    """The fields that a study file gives, checked.

    Raises:
        StudyError: the file cannot be read, or is wrong; every problem with its line and field.
    """
    where = shown_path(path)
    problems = Problems(where)
    try:
        document = parse_document(read_text(path), where, problems)
        values = _values(document, problems)
        problems.raise_if_any()
    except SpaceError as error:
        raise StudyError(error.problems) from None
    return values


def study_text(values: dict[str, Any], *, command: str, mark: str | None = None) -> str:
    """A study file, as text.

    Args:
        values: fields of a request.
        command: what runs the file.
        mark: a line that says who wrote it; None for none.
    """
    head = [f"# {command}", *([mark] if mark else [])]
    fields = yaml.safe_dump({"version": VERSION, **values}, sort_keys=False, allow_unicode=True)
    return "\n".join([*head, fields])


def _values(document: Entry, problems: Problems) -> dict[str, Any]:
    if not isinstance(document.value, dict):
        problems.add(document, f"must be a mapping of {', '.join(FIELDS)}, not {document.shown}")
        return {}
    fields = dict(document.value)
    _check_version(fields.pop("version", None), document, problems)
    for name, entry in fields.items():
        if name not in FIELDS:
            problems.add(entry, f"unknown field; {did_you_mean(name, FIELDS)}")
        elif not entry.is_scalar:
            problems.add(entry, f"must be a single value, not {entry.shown}")
    values = {name: entry.value for name, entry in fields.items() if name in FIELDS and entry.is_scalar}
    for name, problem in request_problems(values):
        problems.add(fields[name], problem)
    return {name: value for name, value in values.items() if value is not None}


def _check_version(entry: Entry | None, document: Entry, problems: Problems) -> None:
    if entry is None:
        problems.add(document, f"the field 'version' is missing; write version: {VERSION}")
    elif entry.value != VERSION or isinstance(entry.value, bool):
        problems.add(entry, f"{entry.shown} is no version that this nas-attn reads; write {VERSION}")
