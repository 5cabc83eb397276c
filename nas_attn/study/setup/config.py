"""Study files: a search written down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from nas_attn.config.settings import StudyRequest
from nas_attn.document import FileKind, Problems, known_version, parse_document, read_model, read_text, shown_path
from nas_attn.errors import StudyError

VERSION = 1
_KIND = FileKind("a study file", f"version: {VERSION}", StudyError)


def read_study_file(path: Path) -> dict[str, Any]:
    """The fields that a study file gives, checked.

    Raises:
        StudyError: the file cannot be read, or is wrong; every problem with its line and field.
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
