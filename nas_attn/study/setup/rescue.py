"""Rescue a study whose database is lost: a search writes all of its trials into a file, from which they can be
imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from os import getpid
from pathlib import Path
from typing import Any

from nas_attn.commands import command
from nas_attn.config.checks import STUDY_NAME
from nas_attn.errors import NasAttnError, StudyError
from nas_attn.models.catalogue import catalogue
from nas_attn.record import Failure, State, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.space.read import space_from_dict
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.settings import Plan, differences
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.database.storage import check_url, describe_storage, url_without_password
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.own_files import check_apart, check_storage
from nas_attn.whole_file import whole_file

_FORMAT = 1


@dataclass(frozen=True)
class Rescued:
    """A study without its database.

    Args:
        study: its name.
        identity: settings that must not change while it continues, as plain values.
        context: further settings that an export needs, as plain values.
        plan: of the study; None if it is not known.
        records: its trials by number.
    """

    study: str
    identity: Mapping[str, Any]
    context: Mapping[str, Any]
    plan: Plan | None
    records: tuple[TrialRecord, ...]


def rescuer(ledger: Ledger, url: str, folder: StudyFolder) -> Callable[[Sequence[TrialRecord]], str]:
    """A function that writes all records when the database is lost, and returns what to do with the file.

    Args:
        ledger: of the study; what is needed from it is read now.
        url: of its storage.
        folder: of the study.
    """
    return partial(_rescued, Rescued(ledger.name, ledger.identity, ledger.context, ledger.plan, ()), url, folder)


def _rescued(study: Rescued, url: str, folder: StudyFolder, records: Sequence[TrialRecord]) -> str:
    try:
        path = write_rescued(replace(study, records=tuple(records)), folder.path)
    except OSError as error:
        return f"what is known of its {len(records)} trials cannot be written to {folder.path}: {error.strerror}"
    storage = None if url == folder.default_url else url_without_password(url)
    back = command("import", path, storage=storage)
    return (
        f"all {len(records)} trials that are known here were written to {path}; once the old database is out of "
        f"the way, {back} brings them back, and the same command resumes"
    )


def write_rescued(rescued: Rescued, folder: Path) -> Path:
    """Write a study into a folder, which is created if it is missing. Other processes write their files next to
    it.

    Raises:
        OSError: it cannot be written.
    """
    values = {
        "format": _FORMAT,
        "study": rescued.study,
        "identity": rescued.identity,
        "context": rescued.context,
        "plan": None if rescued.plan is None else asdict(rescued.plan),
        "records": [record.to_dict() for record in rescued.records],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rescued-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{getpid()}.json"
    with whole_file(path) as part:
        part.write_text(json.dumps(values), encoding="utf-8")
    return path


def read_rescued(path: Path) -> Rescued:
    """The inverse of ``write_rescued``.

    Raises:
        StudyError: there is no such file, or it is something else.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != _FORMAT:
            raise ValueError(values["format"])
        records = tuple(map(TrialRecord.from_dict, values["records"]))
        rescued = Rescued(
            str(values["study"]),
            dict(values["identity"]),
            dict(values["context"]),
            None if values["plan"] is None else Plan(**values["plan"]),
            records,
        )
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, NasAttnError):
        raise StudyError(
            f"{path}: not a rescue file of this version; give the file rescued-TIME-NUMBER.json in the study's "
            "folder"
        ) from None
    if [record.number for record in records] != list(range(len(records))):
        raise StudyError(f"{path}: trials are missing in it")
    return rescued


@dataclass(frozen=True)
class Imported:
    """Result of an import.

    Args:
        study: its name.
        storage: where it is now, in words.
        n_trials: number of its trials.
        n_new: number of trials that were missing before, or had not ended.
    """

    study: str
    storage: str
    n_trials: int
    n_new: int


def import_study(path: Path, study: str | None = None, storage: str | None = None) -> Imported:
    """Write a rescued study into a database, trial by trial.

    If the study already exists, as in an older copy of its database or after an import that was stopped, only
    missing trials are written. So the files of several processes can be imported one after the other.

    Args:
        path: of the file that a search wrote when its database was lost.
        study: its new name; None keeps the old one.
        storage: SQLAlchemy URL; None is SQLite in the study's folder.
    Raises:
        StudyError: the file is something else, the storage cannot be written, or it has another study of that
            name; the study's folder contains the data, or the data contain it; or it has the files of a study in
            another storage.
    """
    rescued = read_rescued(path)
    name = study or rescued.study
    if not STUDY_NAME.fullmatch(name):
        raise StudyError(f"--study: {name!r} is not a name for a study; take letters, digits and . _ -")
    folder = StudyFolder.of(name)
    url = storage or folder.default_url
    if data := _data(rescued):
        check_apart(data, folder)
    check_url(url)
    check_storage(folder, url, None)
    folder.make()
    with folder.locked():
        ledger = _ledger(rescued, url, name)
        space = space_from_dict(rescued.identity["space"], catalogue(), where=str(path))
        missing = _missing(ledger, rescued, path)
        for record in missing:
            _bring(ledger, record, space)
        if rescued.plan is not None:
            ledger.write_plan(rescued.plan)
        return Imported(name, describe_storage(url), len(ledger.records()), len(missing))


def _data(rescued: Rescued) -> str | None:
    """Where the images were when the study started; None if the file does not say."""
    request = rescued.context.get("request")
    data = request.get("data") if isinstance(request, dict) else None
    return data if isinstance(data, str) else None


def _ledger(rescued: Rescued, url: str, name: str) -> Ledger:
    if not Ledger.exists(url, name):
        return Ledger.create(url, name, rescued.identity, rescued.context, rescued.identity["cost"])
    ledger = Ledger.open(url, name)
    if found := differences(ledger.identity, rescued.identity):
        raise StudyError(
            [
                *(f"study '{name}': {difference}" for difference in found),
                f"{describe_storage(url)} holds another study '{name}': move it away, or give --study NAME",
            ]
        )
    return ledger


def _missing(ledger: Ledger, rescued: Rescued, path: Path) -> list[TrialRecord]:
    """The trials that the study lacks, or has only as started."""
    there = ledger.records()
    for one, other in zip(there, rescued.records, strict=False):
        if Evaluation.of(one) != Evaluation.of(other):
            raise StudyError(f"study '{ledger.name}': trial {one.number} is not that of {path}; give --study NAME")
    running = State.RUNNING
    return [
        record
        for record in rescued.records
        if record.number >= len(there) or (there[record.number].state is running and record.state is not running)
    ]


def _bring(ledger: Ledger, record: TrialRecord, space: SearchSpace) -> None:
    """Write one trial."""
    begun = ledger.begin(Evaluation.of(record), space, version=record.version, number=record.number)
    begun = begun or ledger.records(record.number)[0]  # it was there, though it had not ended
    if record.outcome is not None:
        ledger.complete(begun, record.outcome, ledger.identity["cost"], record.worker)
    elif record.state is State.FAILED:
        ledger.fail(begun, Failure(record.failure or "", record.shortage), record.worker)
