"""Studies that exist, by name."""

from __future__ import annotations

import os
from pathlib import Path

import optuna

from nas_attn.errors import StudyError, did_you_mean
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup.folder import STUDIES, StudyFolder


def study_names() -> tuple[str, ...]:
    """The studies in the current folder's ``studies``, by name."""
    if not STUDIES.is_dir():
        return ()
    return tuple(sorted(path.parent.name for path in STUDIES.glob("*/study.db")))


def open_study(study: str, storage: str | None = None) -> Ledger:
    """The ledger of a study.

    Args:
        study: its name, or the path of its folder.
        storage: SQLAlchemy URL; None is SQLite in the study's folder.
    Raises:
        StudyError: there is no such study, or its storage cannot be read.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage is not None:
        return Ledger.open(storage, study)
    folder = find_folder(study)
    return Ledger.open(folder.default_url, folder.name)


def folder_of(study: str) -> StudyFolder:
    """Where the files of a study lie, or would lie: with another storage there may be none."""
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
    """Whether a word is meant as a path, not as the name of a study: a folder of that name may be anything."""
    return study.startswith((".", "~")) or any(separator in study for separator in (os.sep, os.altsep or os.sep))


def _path(study: str) -> Path:
    """The folder, under its own name even where it is called ``.``."""
    path = Path(os.path.expanduser(study))
    return path if path.name not in ("", "..") else path.resolve()
