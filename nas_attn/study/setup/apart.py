"""Data and studies are kept apart: what a study writes never lies among the data, nor the data in a study."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from nas_attn.config.settings import BUILT_IN
from nas_attn.data.readers import asked_reader
from nas_attn.errors import StudyError
from nas_attn.study.setup.folder import StudyFolder

_PARTS = ("", "images", "masks")
"""Of a data set; each may be a link to elsewhere."""


def check_apart(data: str, folder: StudyFolder) -> None:
    """Make sure that the data do not lie in a study's folder, nor this in the data; links are followed.

    Args:
        data: a folder of images and masks, or one of the built-in data, or those of a reader.
        folder: of the study; it may be missing yet.
    Raises:
        StudyError: one contains the other.
    """
    if data in BUILT_IN or asked_reader(data):
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


def _identities(path: str) -> set[tuple[int, int] | None]:
    """Of a path and of all folders above it, as the disk knows them: capitals and mounts make no difference."""
    return set(map(_identity, _upwards(path))) - {None}


def _upwards(path: str) -> Iterator[str]:
    yield path
    yield from map(str, Path(path).parents)


def _identity(path: str) -> tuple[int, int] | None:
    """None where there is nothing."""
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
    """Where links lead elsewhere, where to."""
    return "" if os.path.abspath(path) == real else f" (which is {real})"
