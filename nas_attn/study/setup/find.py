"""Studies that exist, by name."""

from __future__ import annotations

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
    path = Path(study)
    return StudyFolder(path.resolve() if path.is_dir() else STUDIES / study)


def find_folder(study: str) -> StudyFolder:
    """The folder of a study with SQLite storage.

    Raises:
        StudyError: there is none; the nearest name is suggested.
    """
    for path in (STUDIES / study, Path(study)):
        if (path / "study.db").is_file():
            return StudyFolder(path if path.name else path.resolve())
    raise StudyError(f"there is no study '{study}' in {STUDIES}/; {did_you_mean(study, study_names())}")
