"""A study brought back from the file that a search has left when its database was lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas_attn.config.checks import STUDY_NAME
from nas_attn.errors import StudyError
from nas_attn.models.catalogue import catalogue
from nas_attn.record import Failure, State, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.space.read import space_from_dict
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.settings import differences
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.database.rescued import Rescued, read_rescued
from nas_attn.study.database.storage import check_url, describe_storage
from nas_attn.study.setup.apart import check_apart
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.own_files import check_storage


@dataclass(frozen=True)
class Imported:
    """What was brought back.

    Args:
        study: its name.
        storage: where it is now, in words.
        n_trials: how many it has.
        n_new: how many of these were not there before, or had not ended.
    """

    study: str
    storage: str
    n_trials: int
    n_new: int


def import_study(path: Path, study: str | None = None, storage: str | None = None) -> Imported:
    """Write a rescued study into a database, trial by trial.

    Where the study is there already, as in an older copy of its database, or from an import that was stopped, only
    what is missing is written: so the files of several processes can be imported one after the other.

    Args:
        path: that a search has named when its database was lost.
        study: name that it gets; None is the one that it had.
        storage: SQLAlchemy URL; None is SQLite in the study's folder.
    Raises:
        StudyError: the file is another thing, the storage cannot be written, or it holds another such study;
            the study's folder and the data contain one another, or it holds the files of a study elsewhere.
    """
    rescued = read_rescued(path)
    name = study or rescued.study
    if not STUDY_NAME.fullmatch(name):
        raise StudyError(f"--study: {name!r} is no name for a study; take letters, digits and . _ -")
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
    """Where the images were when the study was begun; None where the file does not say."""
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
    """The trials that the study lacks, or knows only as begun."""
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
