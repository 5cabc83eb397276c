"""Where a study sends its evaluations."""

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
        answer: what it measured, or why it failed.
        worker: who did it.
    """

    number: int
    answer: Outcome | Failure
    worker: str


@dataclass
class Task:
    """An evaluation that was submitted, and what has become of it so far.

    Args:
        number: of its trial.
        evaluation: to be made.
        deaths: of workers that had it.
        faults: its failures that were the machine's.
        alone: whether no other evaluation may run beside it.
    """

    number: int
    evaluation: Evaluation
    deaths: list[Death] = field(default_factory=list)
    faults: list[Failure] = field(default_factory=list)
    alone: bool = False

    def mourn(self, death: Death, worker: str) -> Finished | None:
        """Note the death of its worker; its end where it is given up, None where it is to be begun again."""
        self.deaths.append(replace(death, alone=self.alone))
        self.alone = needs_solitude(self.deaths)
        failure = hopeless(self.deaths)
        if failure is None:
            return None
        log.error("trial %d is given up: %s", self.number, failure.reason)
        return Finished(self.number, failure, worker)

    def excuse(self, fault: Failure) -> None:
        """Note a failure that was the machine's.

        Raises:
            StudyError: the machine does not recover.
        """
        self.faults.append(fault)
        stop_if_out_of_order(self.number, self.faults)
        log.warning("trial %d is started again, because the %s failed: %s", self.number, fault.cause, fault.reason)


class Pool(Protocol):
    """Workers, one evaluation each at a time."""

    @property
    def size(self) -> int:
        """How many evaluations it takes at once."""

    def submit(self, number: int, evaluation: Evaluation) -> None:
        """Begin an evaluation; there must be a worker that has none."""

    def wait(self, seconds: float | None = None) -> list[Finished]:
        """Wait until at least one evaluation has ended.

        Args:
            seconds: after which to return though none has; None waits for as long as it takes.
        """


class Workers(ABC):
    """Workers outside this process, which a ``with`` block begins and ends, however that ends."""

    def __init__(self) -> None:
        self._waiting: list[Task] = []
        """For a worker, the oldest first."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many evaluations they take at once."""

    def submit(self, number: int, evaluation: Evaluation) -> None:
        """Begin an evaluation as soon as one may; there must be a worker that has none.

        Raises:
            StudyError: workers keep dying.
        """
        self._waiting.append(Task(number, evaluation))
        self._begin()

    def _begin(self) -> None:
        """Give the workers that have nothing what may begin."""
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
        """What each worker does that does something."""

    @abstractmethod
    def _give(self, index: int, task: Task) -> None:
        """Let a worker begin."""

    @abstractmethod
    def close(self) -> None:
        """End all workers at once; what they were doing is not finished."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class InlinePool:
    """Evaluates in this process, when it is waited for.

    Args:
        evaluator: what to call.
        size: how many evaluations may be under way, for a search that proposes ahead.
        mend: puts right what all evaluations share, when one has failed for a reason that is not its own.
    """

    def __init__(self, evaluator: Evaluator, size: int = 1, mend: Callable[[], object] = lambda: None) -> None:
        self._evaluator = evaluator
        self._mend = mend
        self._queue: list[tuple[int, Evaluation]] = []
        self.size = size

    def submit(self, number: int, evaluation: Evaluation) -> None:
        """Remember an evaluation."""
        self._queue.append((number, evaluation))

    def wait(self, seconds: float | None = None) -> list[Finished]:
        """Do the oldest evaluation, however long that takes; where there is none, wait.

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
    """Whether an evaluation has failed for a reason that is the machine's and not its own."""
    return isinstance(answer, Failure) and answer.cause not in (None, CRASH)


def take_turn(waiting: list[Task], running: Sequence[Task]) -> Task | None:
    """The one that may begin now, taken out; None where there is none.

    One that is to run alone waits until no other runs, and none begins meanwhile: what then ends its worker is
    itself, and not a neighbour that took the memory.

    Args:
        waiting: for a worker, the oldest first.
        running: what the workers do.
    """
    lonely = [task for task in waiting if task.alone]
    if any(task.alone for task in running) or (lonely and running) or not waiting:
        return None
    task = (lonely or waiting)[0]
    waiting.remove(task)
    return task
