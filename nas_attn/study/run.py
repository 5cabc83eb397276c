"""A whole search: open or create the study, run its trials, rank them, export the best."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import optuna

from nas_attn.attention import catalogue
from nas_attn.errors import StudyError
from nas_attn.evaluate import write_sets
from nas_attn.export import write_architecture
from nas_attn.ranking import Ranking, rank
from nas_attn.record import State, TrialRecord
from nas_attn.space import write_space
from nas_attn.study.agenda import Agenda
from nas_attn.study.config import study_text
from nas_attn.study.folder import StudyFolder
from nas_attn.study.ledger import Ledger
from nas_attn.study.log import logging_to
from nas_attn.study.loop import Listener, run_trials
from nas_attn.study.pool import Pool
from nas_attn.study.process_pool import ProcessPool
from nas_attn.study.request import SYNTHETIC
from nas_attn.study.resolve import Resolved
from nas_attn.study.settings import StudySettings, differences
from nas_attn.study.storage import describe_storage, is_sqlite
from nas_attn.study.winner import architecture_of
from nas_attn.study.worker_process import WorkerLog

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyResult:
    """What a search has found.

    Args:
        study: its name.
        records: all trials, by number.
        ranking: of the placements.
        best: the exported architecture of the first rank; None where no trial is complete.
    """

    study: str
    records: tuple[TrialRecord, ...]
    ranking: Ranking
    best: Path | None


def run_study(
    resolved: Resolved, listener: Listener, *, pool: AbstractContextManager[Pool] | None = None
) -> StudyResult:
    """Bring a study to its number of trials; one that was begun before goes on.

    Args:
        resolved: the search.
        listener: called with all records whenever one of them changes.
        pool: who evaluates; None starts one process for each worker.
    Raises:
        StudyError: the study was made with other settings, is being searched already, or cannot be stored.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = resolved.settings
    folder = StudyFolder.of(settings.study)
    folder.make()
    with folder.locked(), logging_to(folder.log("search"), resolved.request.log_level):
        ledger = _open(resolved, folder)
        records = ledger.records()
        log.info(
            "study '%s' in %s: %d of %d trials",
            settings.study,
            describe_storage(study_url(resolved)),
            len(records),
            settings.trials,
        )
        if _unfinished(records, settings):
            with pool or _processes(resolved, folder) as workers:
                records = run_trials(settings, ledger, Agenda(settings, resolved.costs), workers, listener)
        ranking = rank(records, cost=settings.cost)
        best = _export(ledger, records, ranking, folder)
    return StudyResult(settings.study, tuple(records), ranking, best)


def _processes(resolved: Resolved, folder: StudyFolder) -> ProcessPool:
    """Workers that share the decoded images."""
    try:
        packed = write_sets(resolved.dataset, resolved.settings.budget.image_size, folder.images)
    except OSError as error:
        raise StudyError(
            f"{folder.images}: the decoded images cannot be written: {error.strerror}; make room for them"
        ) from None
    evaluators = resolved.evaluators(packed)
    level = resolved.request.log_level
    logs = [WorkerLog(folder.log(f"worker-{index}"), level) for index in range(len(evaluators))]
    return ProcessPool(evaluators, logs)


def n_trials_done(resolved: Resolved) -> int:
    """How many trials of the study are finished already; 0 where there is no such study.

    Raises:
        StudyError: the storage cannot be read.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder, url = StudyFolder.of(resolved.settings.study), study_url(resolved)
    if (url == folder.default_url and not folder.path.is_dir()) or not Ledger.exists(url, folder.name):
        return 0
    return sum(record.state is not State.RUNNING for record in Ledger.open(url, folder.name).records())


def study_url(resolved: Resolved) -> str:
    """Where the study's trials are stored."""
    return resolved.request.storage or StudyFolder.of(resolved.settings.study).default_url


def _unfinished(records: Sequence[TrialRecord], settings: StudySettings) -> bool:
    return len(records) < settings.trials or any(record.state is State.RUNNING for record in records)


def _open(resolved: Resolved, folder: StudyFolder) -> Ledger:
    settings, url = resolved.settings, study_url(resolved)
    identity = json.loads(json.dumps(settings.identity()))
    if not Ledger.exists(url, settings.study):
        _write_settings(resolved, folder)
        return Ledger.create(url, settings.study, identity, settings.context(), settings.cost)
    ledger = Ledger.open(url, settings.study)
    if found := differences(ledger.identity, identity):
        raise StudyError(
            [
                *(f"study '{settings.study}': {difference}" for difference in found),
                f"study '{settings.study}' goes on with the settings that it began with: repeat them, "
                "or begin another with --study NAME",
            ]
        )
    return ledger


def _write_settings(resolved: Resolved, folder: StudyFolder) -> None:
    """The files that repeat this search."""
    write_space(resolved.settings.space, folder.space)
    request = replace(
        resolved.request,
        space=str(folder.space),
        data=resolved.settings.source.folder or SYNTHETIC,
        max_macs=None,
        max_parameters=None,
        start=None,
    )
    values, command = request.to_dict(), f"nas-attn search --config {folder.settings}"
    if request.storage is not None and not is_sqlite(request.storage):
        # The URL of a server may hold a password, and a file in plain text is no place for one.
        del values["storage"]
        command += " --storage URL"
    folder.settings.write_text(study_text(values, command=command), encoding="utf-8")


def _export(ledger: Ledger, records: Sequence[TrialRecord], ranking: Ranking, folder: StudyFolder) -> Path | None:
    if not ranking.rows:
        return None
    write_architecture(architecture_of(ledger, records, ranking, ranking.rows[0]), folder.best, catalogue())
    return folder.best
