"""Run a whole search: open or create the study, run its trials, rank them and export the best."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from pathlib import Path

import optuna

from nas_attn.analysis import Ranking, rank
from nas_attn.analysis.settled import Settled
from nas_attn.analysis.verdict import StudyVerdict
from nas_attn.errors import LostStorageError
from nas_attn.record import State, TrialRecord
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.strategy.schedule.opening import Course
from nas_attn.study.answer import answer_by
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.database.storage import describe_storage
from nas_attn.study.latencies import latencies_at_end
from nas_attn.study.log import logging_to
from nas_attn.study.loop import Listener, run_trials
from nas_attn.study.setup.begin import as_begun, begin_or_go_on, existing, with_known_latency
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.rescue import rescuer
from nas_attn.study.setup.resolve import Resolved
from nas_attn.study.setup.retried import begun_again
from nas_attn.study.study_pool import study_pool
from nas_attn.study.verified import read_verifications
from nas_attn.study.winner import write_best
from nas_attn.study.workers.pool import Pool
from nas_attn.study.workers.process_pool import Follow, nobody
from nas_attn.wording.verdicts import answer_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StudyResult:
    """Result of a search.

    Args:
        study: name of the study.
        records: all trials, by number.
        answer: the verdict of the study: better, equivalent or undecided.
        best: the exported architecture: the first placement that is significantly better than the baseline,
            otherwise the baseline; None if no trial is complete.
        course: the budgets; None if the study ended before the top budget was found.
        settled: how the question was settled, and after how many trials, so that the search ended early; None if
            it was not.
    """

    study: str
    records: tuple[TrialRecord, ...]
    answer: StudyVerdict
    best: Path | None
    course: Course | None
    settled: Settled | None = None

    def __repr__(self) -> str:
        return f"<result of study '{self.study}': {len(self.records)} trials, {self.answer.answer}>"

    def _repr_html_(self) -> str:
        return f"<p><b>{escape(self.verdict)}</b></p><p>nas_attn.open_study({escape(repr(self.study))})</p>"

    @property
    def ranking(self) -> Ranking:
        """The ranking of the placements."""
        return self.answer.ranking

    @property
    def verdict(self) -> str:
        """The verdict, in one to three sentences."""
        return answer_text(self.answer)


def run_study(
    resolved: Resolved,
    listener: Listener,
    *,
    follow: Follow = nobody,
    pool: AbstractContextManager[Pool] | None = None,
) -> StudyResult:
    """Run a study until it has its number of trials. A study that was started before is continued.

    Args:
        resolved: the search.
        listener: called with all records whenever one of them changes.
        follow: called regularly with the progress of trials that run in processes of this machine.
        pool: evaluates the trials; None starts one process per worker, and times the leading placements together
            on this machine at the end.
    Raises:
        StudyError: the study has other settings, is being searched by another process or cannot be stored; its
            folder contains the data, or the data contain it; or its folder holds files that are not its own.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = resolved.settings
    folder = StudyFolder.of(settings.study)
    existing(resolved)  # what is wrong is told before anything is written
    resolved = with_known_latency(resolved)
    folder.make()
    with folder.locked(), logging_to(folder.log("search"), resolved.request.log_level):
        ledger = begin_or_go_on(resolved, folder)
        resolved = as_begun(resolved, ledger)
        rescue = rescuer(ledger, resolved.url, folder)
        records = _searched(resolved, folder, ledger, listener, "worker", follow, pool)
        try:
            latencies = ledger.latencies
            if pool is None:
                found = rank(records, cost=settings.cost)
                latencies = latencies_at_end(ledger, records, found, settings.devices[0])
            ranking = rank(records, cost=settings.cost, latencies=latencies)
            answer = answer_by(ledger, records, ranking, read_verifications(ledger))
            exported = write_best(ledger, records, answer, folder)
        except LostStorageError as error:
            raise LostStorageError(f"{error}; {rescue(records)}") from error
    agenda = Agenda(settings, resolved.costs)
    settled = agenda.settled_after(records, len(records))
    return StudyResult(settings.study, tuple(records), answer, exported, agenda.course(records), settled)


def run_joined(
    resolved: Resolved,
    folder: StudyFolder,
    ledger: Ledger,
    listener: Listener,
    *,
    follow: Follow = nobody,
    pool: AbstractContextManager[Pool] | None = None,
) -> tuple[TrialRecord, ...]:
    """Join a study that others have started, until it has its number of trials.

    Args:
        resolved: the search, as it runs on this machine.
        folder: for logs and decoded images.
        ledger: of the study.
        listener: called with all records whenever one of them changes.
        follow: called regularly with the progress of trials that run in processes of this machine.
        pool: evaluates the trials; None starts one process per worker.
    Raises:
        StudyError: the workers or the storage fail.
    """
    name = f"{platform.node()}-{os.getpid()}"
    with logging_to(folder.log(name), resolved.request.log_level):
        return _searched(resolved, folder, ledger, listener, f"{name}-worker", follow, pool)


def _searched(
    resolved: Resolved,
    folder: StudyFolder,
    ledger: Ledger,
    listener: Listener,
    log_name: str,
    follow: Follow,
    pool: AbstractContextManager[Pool] | None,
) -> tuple[TrialRecord, ...]:
    settings, records, url = resolved.settings, begun_again(ledger), resolved.url
    storage = describe_storage(url)
    log.info("study '%s' in %s: %d of %d trials", settings.study, storage, len(records), settings.trials)
    agenda = Agenda(settings, resolved.costs)
    if not _unfinished(records, agenda.with_plan(ledger.plan) if ledger.plan else agenda):
        return records
    with pool or study_pool(resolved, folder, log_name, follow) as workers:
        return run_trials(settings, ledger, agenda, workers, listener, rescuer(ledger, url, folder))


def trials_so_far(resolved: Resolved) -> tuple[TrialRecord, ...]:
    """Trials that the study already has; empty if the study does not exist.

    Raises:
        StudyError: the storage cannot be read.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ledger = existing(resolved)
    return () if ledger is None else tuple(ledger.records())


def _unfinished(records: Sequence[TrialRecord], agenda: Agenda) -> bool:
    visible = records[: agenda.n_visible(records)]
    return not agenda.is_over(visible, len(records)) or any(record.state is State.RUNNING for record in records)
