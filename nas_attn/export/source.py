"""What a word on the command line names: a study, an architecture file, a run, or its weights."""

from __future__ import annotations

from pathlib import Path

from nas_attn.architecture import BEST, read_architecture
from nas_attn.commands import command
from nas_attn.errors import ExportError, UsageError
from nas_attn.export.subject import Subject
from nas_attn.models.catalogue import catalogue
from nas_attn.study.answer import answer_by, picked, ranking_of
from nas_attn.study.setup.find import folder_of, is_path, open_study
from nas_attn.study.verified import read_verifications
from nas_attn.study.winner import architecture_of

ARCHITECTURE = "architecture.yaml"
"""In the folder of a run."""


def read_source(source: str, how: str | None = None, storage: str | None = None) -> Subject:
    """An architecture, with its weights where the source has some.

    Args:
        source: a study, by its name or folder; an architecture file; the folder of a run of 'nas-attn train'; or
            the weights.safetensors in it.
        how: which placement of a study to take, as ``pick`` reads it; None for its best, by all
            that was searched and verified.
        storage: SQLAlchemy URL of the study; None for the SQLite file in its folder.
    Raises:
        UsageError: ``how`` or ``storage`` is given, and the source is no study.
        ExportError: a file cannot be read or is wrong.
        StudyError: there is no such study, or its storage cannot be read.
    """
    path = Path(source)
    files = {".yaml": _from_architecture, ".yml": _from_architecture}
    if path.is_dir() and _is_study(source, storage):
        return _from_study(source, how or BEST, storage)
    if path.is_dir() and (path / ARCHITECTURE).is_file():
        read = _from_run
    elif path.is_file() or path.suffix in files:
        read = files.get(path.suffix, _from_weights)
    else:
        return _from_study(source, how or BEST, storage)
    given = {"--pick": how, "--storage": storage}
    if flags := [flag for flag, value in given.items() if value is not None]:
        raise UsageError([f"{flag} is for studies; {source} holds a single architecture" for flag in flags])
    return read(path)


def _is_study(source: str, storage: str | None) -> bool:
    """Whether a folder here only has the name of a study."""
    return not is_path(source) and (storage is not None or folder_of(source).has_database)


def _from_study(study: str, how: str, storage: str | None) -> Subject:
    ledger = open_study(study, storage)
    records = ledger.records()
    ranking = ranking_of(ledger, records)
    row = picked(ranking, how, lambda: answer_by(ledger, records, ranking, read_verifications(ledger)))
    settings = folder_of(study).settings
    return Subject(
        architecture_of(ledger, records, ranking, row),
        ledger=ledger,
        study_file=settings if settings.is_file() else None,
    )


def _from_architecture(path: Path) -> Subject:
    return Subject(read_architecture(path, catalogue()))


def _from_run(path: Path) -> Subject:
    from nas_attn.training.full.run_folder import RunFolder

    folder = RunFolder(path)
    if not folder.weights.is_file():
        raise ExportError(
            f"{path}: the run has no weights yet; go on with the same '{command('train')}', or export "
            f"{folder.architecture}"
        )
    return _trained(folder.architecture, folder.weights)


def _from_weights(path: Path) -> Subject:
    from nas_attn.training.full.weights import read_info

    info = read_info(path)
    architecture = path.parent / ARCHITECTURE
    if not architecture.is_file():
        raise ExportError(f"{path}: there is no architecture.yaml beside it; put that of {info.placement} there")
    return _trained(architecture, path)


def _trained(architecture: Path, weights: Path) -> Subject:
    from nas_attn.training.full.weights import read_info

    return Subject(read_architecture(architecture, catalogue()), weights, read_info(weights))
