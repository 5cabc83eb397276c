"""The search loop: propose a trial, evaluate it and write it down, until the study has its number of trials."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from nas_attn import __version__
from nas_attn.errors import LostStorageError, StudyError
from nas_attn.metric import METRICS
from nas_attn.record import Failure, Outcome, State, TrialRecord
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.strategy.settings import StudySettings
from nas_attn.study.database.claims import Claims, NoClaims, alive
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.workers.attempt import stop_if_out_of_order
from nas_attn.study.workers.pool import Finished, Pool, is_fault

Rescue = Callable[[Sequence[TrialRecord]], str]
"""Saves all records when their database is lost, and returns where they are."""
Listener = Callable[[Sequence[TrialRecord]], None]
"""Called with all records whenever one of them changes."""

_LOOK_SECONDS = 2.0
"""Time between two looks at the trials of other processes, while this process has work of its own."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Pause between two looks while this process only waits for others; it grows from the first to the second."""

log = logging.getLogger(__name__)


def run_trials(
    settings: StudySettings,
    ledger: Ledger,
    agenda: Agenda,
    pool: Pool,
    listener: Listener,
    rescue: Rescue = lambda records: "nothing of it is kept",
) -> tuple[TrialRecord, ...]:
    """Run a study until it has its number of trials, alone or together with other processes that call this too.

    A trial is decided by the trials before it, except for a fixed number of the latest ones; these also count if
    the others settle the question. Nothing else decides it: not which worker was faster, nor which process
    decides. So the same settings give the same study with any timing and any number of workers. A study that was
    killed continues as if nothing had happened: a trial that was running is evaluated again under its number.

    A process takes the number of a trial before it decides or evaluates it. If the process ends, it loses what it
    has taken.

    Args:
        settings: of the study.
        ledger: where trials are written.
        agenda: decides what comes next.
        pool: evaluates the trials.
        listener: called after every change.
        rescue: called with all records when the database is found to be lost.
    Raises:
        StudyError: the baseline fails, or the workers, the machine or the storage do.
        LostStorageError: the database is no longer the one that was opened.
    """
    search = _Search(settings, ledger, agenda, pool, listener)
    try:
        return search.run()
    except LostStorageError as error:
        raise LostStorageError(f"{error}; {rescue(search.records)}") from error


class _Search:
    """What one process knows about a study while it searches it."""

    def __init__(
        self, settings: StudySettings, ledger: Ledger, agenda: Agenda, pool: Pool, listener: Listener
    ) -> None:
        self._settings = settings
        self._plan = ledger.plan or settings.plan()
        self._ledger = ledger
        self._claims: Claims = NoClaims()
        self._agenda = agenda.with_plan(self._plan)
        self._pool = pool
        self._listener = listener
        self._records = list(ledger.records())
        self._n_final = 0
        self._mine: set[int] = set()
        self._pause = _FIRST_PAUSE

    @property
    def records(self) -> Sequence[TrialRecord]:
        """All records known so far."""
        return self._records

    def run(self) -> tuple[TrialRecord, ...]:
        """Return all records once the study has its number of trials and all have ended."""
        self._claims = self._ledger.claims()
        _stop_if_hopeless(self._records)
        self._listener(self._records)
        with alive(self._claims):
            while not self._is_over():
                self._fill()
                finished = self._pool.wait(self._seconds_to_wait())
                for one in finished:
                    self._write(one)
                if not finished:
                    self._look()
        self._check_kept()
        return tuple(self._records)

    def _check_kept(self) -> None:
        """Check that the stored trials are those that were written, because a page of the database may be lost
        unnoticed.

        Raises:
            LostStorageError: they are not.
        """
        try:
            found = self._ledger.records()
        except LostStorageError:
            raise
        except StudyError as error:
            raise LostStorageError(str(error)) from error
        _check_known(self._records, found)
        if any(record.state is State.RUNNING for record in found):
            raise LostStorageError("the storage has lost the results of trials")

    def _is_over(self) -> bool:
        number = len(self._records)
        return self._first_running() == number and self._agenda.is_over(self._visible, number)

    def _first_running(self) -> int:
        """Number of the first trial that has not ended. Trials before it never change again."""
        while self._n_final < len(self._records) and self._records[self._n_final].state is not State.RUNNING:
            self._n_final += 1
        return self._n_final

    def _fill(self) -> None:
        while len(self._mine) < self._pool.size and (record := self._left_by_others() or self._new()):
            self._mine.add(record.number)
            self._pause = _FIRST_PAUSE
            self._pool.submit(record.number, Evaluation.of(record))
            self._listener(self._records)

    def _seconds_to_wait(self) -> float:
        if len(self._mine) == self._pool.size:
            return _LOOK_SECONDS
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return self._pause

    def _left_by_others(self) -> TrialRecord | None:
        """Take a running trial that no process evaluates any more; None if there is none."""
        running = [
            record.number
            for record in self._records[self._first_running() :]
            if record.state is State.RUNNING and record.number not in self._mine
        ]
        held = self._claims.held_by_others() if running else {}
        for number in running:
            if number in held or not self._claims.take(number):
                continue
            self._look()
            if self._records[number].state is State.RUNNING:
                return self._records[number]
            self._claims.settle(number)
        return None

    def _new(self) -> TrialRecord | None:
        """Decide, write and take the next trial; None if that has to wait for others, or if there is none."""
        number = len(self._records)
        if not self._may_decide(number) or not self._claims.take(number):
            return None
        self._look()
        if number == len(self._records):
            self._adopt_plan()
            if self._may_decide(number) and (record := self._decide(number)):
                self._records.append(record)
                return record
        self._claims.give_back(number)
        return None

    def _may_decide(self, number: int) -> bool:
        if self._first_running() < self._agenda.n_decisive(self._records):
            return False
        return not self._agenda.is_over(self._visible, number)

    @property
    def _visible(self) -> Sequence[TrialRecord]:
        """The trials that may influence the next one."""
        return self._records[: self._agenda.n_visible(self._records)]

    def _decide(self, number: int) -> TrialRecord | None:
        visible = self._visible
        evaluation = self._agenda.next(visible, self._records[len(visible) :])
        if evaluation is None:
            return None
        return self._ledger.begin(evaluation, self._settings.space, version=__version__, number=number)

    def _adopt_plan(self) -> None:
        """Adopt the plan of another search of this study, if it has changed."""
        plan = self._ledger.plan
        if plan is not None and plan != self._plan:
            log.info("the study is now to have %d trials, laid out for %d at once", plan.trials, plan.parallel)
            self._plan, self._agenda = plan, self._agenda.with_plan(plan)

    def _look(self) -> None:
        """Read what others have written, starting at the last trial that is certain to exist."""
        first = max(0, self._first_running() - 1)
        found = self._ledger.records(first)
        if len(found) < len(self._records) - first:
            self._ledger.check_there()
        _check_known(self._records[first:], found)
        if list(found) != self._records[first:]:
            self._records[first:] = found
            self._pause = _FIRST_PAUSE
            _stop_if_hopeless(self._records)
            self._listener(self._records)

    def _write(self, finished: Finished) -> None:
        number = finished.number
        self._mine.remove(number)
        try:
            record = end_trial(finished, self._records[number], self._settings, self._ledger)
            self._claims.settle(number)
        except LostStorageError:
            self._records[number] = ended(self._records[number], finished)
            raise
        if record is None:
            log.warning("trial %d was ended by another process; what was found here is left out", number)
            self._look()
            return
        self._records[number] = record
        _stop_if_hopeless(self._records)
        self._listener(self._records)


def _check_known(known: Sequence[TrialRecord], found: Sequence[TrialRecord]) -> None:
    """Check that no known trial has disappeared or changed, as in an older copy of a database.

    Raises:
        LostStorageError: one has.
    """
    if len(found) < len(known):
        raise LostStorageError(
            f"the storage has lost trials: it knows {len(known) - len(found)} fewer than this search"
        )
    for one, other in zip(known, found, strict=False):
        begun_again = one.state is not State.RUNNING and other.state is State.RUNNING
        if begun_again or Evaluation.of(one) != Evaluation.of(other):
            raise LostStorageError(f"the storage has another trial {one.number} than this search has written")


def end_trial(
    finished: Finished, record: TrialRecord, settings: StudySettings, ledger: Ledger
) -> TrialRecord | None:
    """Write down how a trial ended; None if another process already has.

    Raises:
        StudyError: it failed for a reason outside of it, so it has not ended; or the storage fails.
    """
    answer = finished.answer
    if is_fault(answer):
        stop_if_out_of_order(record.number, [answer, answer])
    if isinstance(answer, Outcome) and not math.isfinite(answer.score.iou):
        answer = Failure(f"the {METRICS[settings.metric].word} is {answer.score.iou}")
    if isinstance(answer, Failure):
        return ledger.fail(record, answer, finished.worker)
    return ledger.complete(record, answer, settings.cost, finished.worker)


def ended(record: TrialRecord, finished: Finished) -> TrialRecord:
    """The record of a trial that has ended but is not written yet."""
    answer, worker = finished.answer, finished.worker
    if is_fault(answer) or (isinstance(answer, Outcome) and not math.isfinite(answer.score.iou)):
        return record
    if isinstance(answer, Outcome):
        return replace(record, state=State.COMPLETE, outcome=answer, worker=worker)
    return replace(record, state=State.FAILED, failure=answer.reason, shortage=answer.shortage, worker=worker)


def _stop_if_hopeless(records: Sequence[TrialRecord]) -> None:
    """Stop if the baseline, the first trial of every study, has failed: nothing can be compared without it."""
    if records and records[0].state is State.FAILED:
        mend = (
            "; the same command tries again once more memory is free; with --as-new, a smaller --batch-size "
            "or --image-size takes less"
            if records[0].shortage
            else ""
        )
        raise StudyError(f"the baseline cannot be trained, so nothing can be compared: {records[0].failure}{mend}")
