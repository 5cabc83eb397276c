"""What repeats a study: the values of its study file, and the file in the study's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas_attn.commands import command
from nas_attn.errors import StudyError
from nas_attn.space import space_text
from nas_attn.study.database.sqlite import is_sqlite
from nas_attn.study.setup.config import study_text
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.own_files import SPACE_MARK, settings_mark
from nas_attn.study.setup.resolve import Resolved
from nas_attn.whole_file import whole_file


def study_values(resolved: Resolved, folder: StudyFolder) -> dict[str, Any]:
    """The fields of the study file; the URL of a server is left out, since it may hold a password."""
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
    values = study_values(resolved, folder)
    mark = settings_mark(resolved.request.storage or folder.default_url, folder)
    text = study_text(values, command=_command(resolved, values, folder), mark=mark)
    try:
        write_whole(folder.space, f"{SPACE_MARK}\n{space_text(resolved.settings.space)}")
        write_whole(folder.settings, text)
    except OSError as error:
        raise StudyError(
            f"{folder.path}: the study's settings cannot be written: {error.strerror}; nothing was begun"
        ) from None


def write_whole(path: Path, text: str) -> None:
    """Write a file of text in one stroke.

    Raises:
        OSError: it cannot be written.
    """
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def _command(resolved: Resolved, values: Mapping[str, Any], folder: StudyFolder) -> str:
    storage = "URL" if resolved.request.storage and "storage" not in values else None
    return command("search", config=folder.settings, storage=storage)
