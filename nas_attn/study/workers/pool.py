"""Pools of workers, which take a study's evaluations."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol, Self, TypeGuard

from nas_attn.record import Failure, Outcome
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.workers.attempt import CRASH, Evaluator, attempt, stop_if_out_of_order
from nas_attn.study.workers.death import Death, hopeless, needs_solitude

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """An evaluation that has ended.

    Args:
        number: of its trial.
        answer: its outcome, or why it failed.
        worker: that evaluated it.
    """

    number: int
    answer: Outcome | Failure
    worker: str


@dataclass
class Task:
    """An evaluation that was submitted, with its history.

    Args:
        number: of its trial.
        evaluation: to run.
        deaths: of workers that ran it.
        faults: its failures that were the machine's.
        alone: whether no other evaluation may run at the same time.
    """

    number: int
    evaluation: Evaluation
    deaths: list[Death] = field(default_factory=list)
    faults: list[Failure] = field(default_factory=list)
    alone: bool = False

    def mourn(self, death: Death, worker: str) -> Finished | None:
        """Record the death of its worker. Returns its end if it is given up, and None if it starts again."""
        self.deaths.append(replace(death, alone=self.alone))
        self.alone = needs_solitude(self.deaths)
        failure = hopeless(self.deaths)
        if failure is None:
            return None
        log.error("trial %d is given up: %s", self.number, failure.reason)
        return Finished(self.number, failure, worker)

    def excuse(self, fault: Failure) -> None:
        """Record a failure that was the machine's.

        Raises:
            StudyError: the machine does not recover.
        """
        self.faults.append(fault)
        stop_if_out_of_order(self.number, self.faults)
        log.warning("trial %d is started again, because the %s failed: %s", self.number, fault.cause, fault.reason)


class Pool(Protocol):
    """Workers, with one evaluation each at a time."""

    @property
    def size(self) -> int:
        """Number of evaluations that run in parallel."""

    def submit(self, number: int, evaluation: Evaluation) -> None:
        """Start an evaluation; one of the workers must be free."""

    def wait(self, seconds: float | None = None) -> list[Finished]:
        """Wait until at least one evaluation has ended.

        Args:
            seconds: after which to return in any case; None waits without limit.
        """


class Workers(ABC):
    """Workers outside this process, started and ended by a ``with`` block."""

    def __init__(self) -> None:
        self._waiting: list[Task] = []
        """Tasks that wait for a worker, the oldest first."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of evaluations that run in parallel."""

    def submit(self, number: int, evaluation: Evaluation) -> None:
        """Start an evaluation as soon as possible; one of the workers must be free.

        Raises:
            StudyError: workers keep dying.
        """
        self._waiting.append(Task(number, evaluation))
        self._begin()

    def _begin(self) -> None:
        """Give tasks that may start to free workers."""
        for index in range(self.size):
            running = self._running()
            if index in running:
                continue
            task = take_turn(self._waiting, list(running.values()))
            if task is None:
                return
            self._give(index, task)

    @abstractmethod
    def _running(self) -> Mapping[int, Task]:
        """The task of each busy worker."""

    @abstractmethod
    def _give(self, index: int, task: Task) -> None:
        """Give a task to a worker."""

    @abstractmethod
    def close(self) -> None:
        """End all workers immediately. Their running evaluations are lost."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class InlinePool:
    """Evaluates in this process, when its results are waited for.

    Args:
        evaluator: to call.
        size: number of evaluations that may be submitted at once, for a search that proposes ahead.
        mend: repairs what all evaluations share, after one has failed for a reason outside of it.
    """

    def __init__(self, evaluator: Evaluator, size: int = 1, mend: Callable[[], object] = lambda: None) -> None:
        self._evaluator = evaluator
        self._mend = mend
        self._queue: list[tuple[int, Evaluation]] = []
        self.size = size

    def submit(self, number: int, evaluation: Evaluation) -> None:
        """Queue an evaluation."""
        self._queue.append((number, evaluation))

    def wait(self, seconds: float | None = None) -> list[Finished]:
        """Run the oldest evaluation to its end; without one, wait.

        Raises:
            StudyError: the machine is out of order.
        """
        if not self._queue:
            time.sleep(seconds or 0)
            return []
        task = Task(*self._queue.pop(0))
        while is_fault(answer := attempt(self._evaluator, task.evaluation)):
            task.excuse(answer)
            self._mend()
        return [Finished(task.number, answer, "inline")]


def is_fault(answer: Outcome | Failure) -> TypeGuard[Failure]:
    """Whether an evaluation has failed because of the machine."""
    return isinstance(answer, Failure) and answer.cause not in (None, CRASH)


def take_turn(waiting: list[Task], running: Sequence[Task]) -> Task | None:
    """Remove and return the next task that may start; None if there is none.

    A task that has to run alone waits until no other runs, and no task starts in the meantime. If its worker then
    ends, the task itself is the cause, not another one that used the memory.

    Args:
        waiting: for a worker, the oldest first.
        running: tasks of the workers.
    """
    lonely = [task for task in waiting if task.alone]
    if any(task.alone for task in running) or (lonely and running) or not waiting:
        return None
    task = (lonely or waiting)[0]
    waiting.remove(task)
    return task
