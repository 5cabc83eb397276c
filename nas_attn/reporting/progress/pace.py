"""The remaining time of a search, from the duration of its trials and the clock of this process."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Self

from nas_attn.budget import Budget
from nas_attn.record import Role, State, TrialRecord, n_ended
from nas_attn.steps import StepCount
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.strategy.settings import StudySettings

Top = Callable[[Sequence[TrialRecord]], Budget | None]
"""The budget of full trials, from the trials so far; None if it is not known yet."""

_LATEST = 20
"""Number of the latest proposals that show at which budgets the next ones will run."""
_ENOUGH = 3
"""Number of trials of a kind from which the duration of the next one is estimated."""
_COMING = (Role.PROPOSAL, Role.FINALIST)


class Pace:
    """Records when each trial started on this machine, and estimates how long the search will still take.

    Args:
        trials: total number of trials.
        workers: number of parallel trials.
        first: the budget with which the search starts.
        forecast: seconds of a trial at that budget, until trials have ended.
        top: returns the budget of full trials.
        timeout: total seconds of the trials after which none starts; None for no limit.
        spent: returns how many of these seconds the trials have used so far.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        *,
        trials: int,
        workers: int,
        first: Budget,
        forecast: float,
        top: Top = lambda records: None,
        timeout: float | None = None,
        spent: Callable[[Sequence[TrialRecord]], float] = lambda records: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trials = trials
        self.timeout = timeout
        self._workers = workers
        self._first, self._forecast, self._top = first, forecast, top
        self._spent = spent
        self._clock = clock
        self._started = clock()
        self._begun: dict[int, float] = {}
        self._done_before: set[int] | None = None
        self._first_steps: dict[int, tuple[float, int]] = {}
        self._step_seconds: dict[int, float] = {}

    @classmethod
    def of(cls, settings: StudySettings, agenda: Agenda, *, workers: int, forecast: float = 0.0) -> Self:
        """The pace of a study.

        Args:
            settings: of the study.
            agenda: of the study.
            workers: number of parallel trials.
            forecast: seconds of a trial, until trials have ended.
        """
        return cls(
            trials=settings.trials,
            workers=workers,
            first=settings.budget,
            forecast=forecast,
            top=lambda found: None if (course := agenda.course(found)) is None else course.top,
            timeout=settings.timeout,
            spent=agenda.spent,
        )

    @property
    def elapsed(self) -> float:
        """Seconds since this object was made."""
        return self._clock() - self._started

    def note(self, records: Sequence[TrialRecord]) -> None:
        """Record which trials have started."""
        now = self._clock()
        if self._done_before is None:
            self._done_before = {one.number for one in records if one.state is not State.RUNNING}
        for record in records:
            if record.state is State.RUNNING:
                self._begun.setdefault(record.number, now)

    def follow(self, number: int, steps: StepCount) -> None:
        """Measure the duration of a step on this machine, while all workers are busy.

        Args:
            number: of the trial.
            steps: that its training has taken.
        """
        since, before = self._first_steps.setdefault(number, (self._clock(), steps.taken))
        if steps.taken > before:
            self._step_seconds[number] = (self._clock() - since) / (steps.taken - before)

    def running(self, records: Sequence[TrialRecord]) -> dict[int, float]:
        """Seconds for which each running trial has run."""
        now = self._clock()
        return {
            one.number: now - self._begun.get(one.number, now) for one in records if one.state is State.RUNNING
        }

    def each(self, records: Sequence[TrialRecord]) -> float:
        """Expected seconds of a future trial."""
        budgets = (record.budget for record in records)
        top = self._top(records) or max((self._first, *budgets), key=lambda budget: budget.steps)
        measured = self._first.steps * fmean(self._step_seconds.values()) if self._step_seconds else 0.0
        return trial_seconds(records, top, self._first, max(self._forecast, measured))

    def left(self, records: Sequence[TrialRecord]) -> float:
        """Expected seconds until all trials have ended, if none is left out."""
        under_way = list(self.running(records).values())
        n_left = max(0, self.trials - n_ended(records))
        slow = self._slowness(records, under_way)
        by_number = seconds_left(n_left, self.each(records), under_way, self._workers, slow)
        if self.timeout is None:
            return by_number
        return min(by_number, slow * max(0.0, self.timeout - self._spent(records)))

    def expected(self, records: Sequence[TrialRecord]) -> int:
        """Expected total number of trials, as far as it is known."""
        done = n_ended(records)
        if self.timeout is None:
            return max(self.trials, done)
        room = max(0.0, self.timeout - self._spent(records)) * self._workers / self.each(records)
        return min(self.trials, done + round(room))

    def _slowness(self, records: Sequence[TrialRecord], under_way: Sequence[float]) -> float:
        before = self._done_before or set()
        ended = [one for one in records if one.outcome is not None and one.number not in before]
        if len(ended) < self._workers or not self._begun:
            return 1.0
        busy = sum(one.outcome.seconds for one in ended if one.outcome is not None) + sum(under_way)
        return slowness(self._clock() - min(self._begun.values()), self._workers, busy)


def trial_seconds(records: Sequence[TrialRecord], top: Budget, first: Budget, forecast: float) -> float:
    """The expected time of a future trial, in seconds.

    Future trials are proposals and finalists. The estimate uses those of the study at the same budget; if there
    are none, any trial at this budget; otherwise trials at other budgets, in proportion to their steps.

    Args:
        records: of the study.
        top: the budget of full trials, as far as it is known.
        first: the budget that was timed before the search.
        forecast: seconds of a trial at that budget, if no trial has ended yet.
    """
    budgets = Counter(record.budget for record in [one for one in records if one.role in _COMING][-_LATEST:])
    shares = budgets or Counter([top])
    total = sum(share * _seconds_at(budget, records, first, forecast) for budget, share in shares.items())
    return max(1e-3, total / shares.total())


def _seconds_at(budget: Budget, records: Sequence[TrialRecord], first: Budget, forecast: float) -> float:
    alike = [record for record in records if record.budget == budget]
    chosen = _seconds([record for record in alike if record.role in _COMING])
    if taken := chosen if len(chosen) >= _ENOUGH else _seconds(alike):
        return fmean(taken)
    steps = sum(record.budget.steps for record in records if record.outcome is not None)
    per_step = sum(_seconds(records)) / steps if steps else forecast / first.steps
    return per_step * budget.steps


def _seconds(records: Sequence[TrialRecord]) -> list[float]:
    return [record.outcome.seconds for record in records if record.outcome is not None]


def seconds_left(n_left: int, each: float, under_way: Sequence[float], workers: int, slowness: float) -> float:
    """The expected time until all trials have ended.

    Args:
        n_left: number of trials that have not ended.
        each: seconds of a trial.
        under_way: seconds for which each running trial has run.
        workers: number of parallel trials.
        slowness: wall time per second of trials, for each worker; 1 if workers never wait.
    """
    if not n_left:
        return 0.0
    begun = [max(0.05 * each, each - seconds) for seconds in under_way[:n_left]]
    work = sum(begun) + (n_left - len(begun)) * each
    longest = max([*begun, *[each] * (n_left > len(begun))])
    return slowness * max(longest, work / min(workers, max(1, n_left)))


def slowness(clock: float, workers: int, busy: float) -> float:
    """How much longer the search takes than its trials alone, on this machine so far.

    Args:
        clock: seconds since the first trial started here.
        workers: number of parallel trials.
        busy: seconds of the trials here, running ones included.
    """
    if busy <= 0 or not math.isfinite(busy):
        return 1.0
    return min(3.0, max(1.0, clock * workers / busy))
