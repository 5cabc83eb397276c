"""Where a study sends its evaluations."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from nas_attn.record import Failure, Outcome
from nas_attn.study.evaluation import Evaluation
from nas_attn.study.workers.attempt import Evaluator, attempt
from nas_attn.study.workers.death import Death


@dataclass(frozen=True)
class Finished:
    """An evaluation that has ended.

    Args:
        number: of its trial.
        outcome: what it measured; None where it failed.
        failure: why it failed; None where it did not.
        worker: who did it.
    """

    number: int
    outcome: Outcome | None
    failure: Failure | None
    worker: str

    @classmethod
    def of(cls, number: int, answer: Outcome | Failure, worker: str) -> Finished:
        """From an outcome, or why there is none."""
        if isinstance(answer, Outcome):
            return cls(number, answer, None, worker)
        return cls(number, None, answer, worker)


@dataclass
class Task:
    """An evaluation that was submitted, and the deaths of those who had it.

    Args:
        number: of its trial.
        evaluation: to be made.
        deaths: of workers that had it.
    """

    number: int
    evaluation: Evaluation
    deaths: list[Death] = field(default_factory=list)


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
    """What a ``with`` block begins and ends, however that ends: workers outside this process."""

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
    """

    def __init__(self, evaluator: Evaluator, size: int = 1) -> None:
        self._evaluator = evaluator
        self._queue: list[tuple[int, Evaluation]] = []
        self.size = size

    def submit(self, number: int, evaluation: Evaluation) -> None:
        """Remember an evaluation."""
        self._queue.append((number, evaluation))

    def wait(self, seconds: float | None = None) -> list[Finished]:
        """Do the oldest evaluation, however long that takes; where there is none, wait."""
        if not self._queue:
            time.sleep(seconds or 0)
            return []
        number, evaluation = self._queue.pop(0)
        return [Finished.of(number, attempt(self._evaluator, evaluation), "inline")]
