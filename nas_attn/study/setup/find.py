"""Find existing studies by name."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import optuna

from nas_attn.commands import command
from nas_attn.errors import StudyError, did_you_mean
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup.folder import STUDIES, StudyFolder


def study_names() -> tuple[str, ...]:
    """Names of the studies in the current folder's ``studies``."""
    if not STUDIES.is_dir():
        return ()
    return tuple(sorted(path.parent.name for path in STUDIES.glob("*/study.db")))


def open_study(study: str, storage: str | None = None) -> Ledger:
    """Open the ledger of a study.

    Args:
        study: its name, or the path of its folder.
        storage: SQLAlchemy URL; None is SQLite in the study's folder.
    Raises:
        StudyError: there is no such study, or its storage cannot be read.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage is not None:
        return Ledger.open(storage, study)
    return open_folder(find_folder(study))


def open_folder(folder: StudyFolder) -> Ledger:
    """Open the ledger of the study in a folder.

    Raises:
        StudyError: its name differs from the folder's, or it cannot be read.
    """
    try:
        return Ledger.open(folder.default_url, folder.name)
    except StudyError:
        refuse_renamed(folder)
        raise


def refuse_renamed(folder: StudyFolder) -> None:
    """Check that the study in a folder, if there is one, has the folder's name.

    Raises:
        StudyError: the folder was copied or renamed, and its study still has the old name.
    """
    names = Ledger.names(folder.default_url)
    if not names or folder.name in names:
        return
    there = command("rank", names[0], storage=folder.default_url)
    raise StudyError(
        f"{folder.path}: holds the study '{names[0]}', not '{folder.name}': the folder was copied or renamed; "
        f"give it the name {shlex.quote(names[0])} again, or read the study where it is, as with: {there}"
    )


def folder_of(study: str) -> StudyFolder:
    """The folder for the files of a study. With another storage, there may be none."""
    return StudyFolder(_path(study)) if is_path(study) else StudyFolder.of(study)


def find_folder(study: str) -> StudyFolder:
    """The folder of a study with SQLite storage.

    Raises:
        StudyError: there is none; the nearest name is suggested.
    """
    folder = folder_of(study)
    if folder.has_database:
        return folder
    here = Path(study)
    if not is_path(study) and StudyFolder(here).has_database:
        raise StudyError(f"there is no study '{study}' in {STUDIES}/; for the folder here say {Path.cwd() / here}")
    raise StudyError(f"there is no study '{study}' in {STUDIES}/; {did_you_mean(study, study_names())}")


def is_path(study: str) -> bool:
    """Whether a word is meant as a path instead of the name of a study, because a folder of that name may be
    anything."""
    return study.startswith((".", "~")) or any(separator in study for separator in (os.sep, os.altsep or os.sep))


def _path(study: str) -> Path:
    """The folder under its own name, even if it is given as ``.``."""
    path = Path(os.path.expanduser(study))
    return path if path.name not in ("", "..") else path.resolve()
