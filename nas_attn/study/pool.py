"""Workers: processes that evaluate, one evaluation at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Protocol, Self

from nas_attn.budget import Budget
from nas_attn.errors import NasAttnError, StudyError
from nas_attn.placement import Placement
from nas_attn.record import Outcome
from nas_attn.study.evaluation import Evaluation

Evaluator = Callable[[Placement, Budget, int], Outcome]


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
    failure: str | None
    worker: str


class Pool(Protocol):
    """Where a study sends its evaluations."""

    @property
    def size(self) -> int:
        """How many evaluations it takes at once."""

    def submit(self, number: int, evaluation: Evaluation) -> None:
        """Begin an evaluation; there must be a worker that has none."""

    def wait(self) -> list[Finished]:
        """Wait until at least one evaluation has ended."""


class ProcessPool:
    """Processes with one thread each; they end with the process that started them, however that ends.

    Args:
        evaluators: one for each worker; plain values that can be sent to a process.
    """

    def __init__(self, evaluators: Sequence[Evaluator]) -> None:
        context = multiprocessing.get_context("spawn")
        self._processes: list[BaseProcess] = []
        self._links: list[Connection] = []
        self._busy: dict[int, int] = {}
        # A worker ignores Ctrl-C from its first instruction: the main process decides what happens then.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN) if _in_main_thread() else None
        try:
            for index, evaluator in enumerate(evaluators):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, evaluator, index), daemon=True)
                process.start()
                theirs.close()
                self._links.append(ours)
                self._processes.append(process)
        finally:
            if before is not None:
                signal.signal(signal.SIGINT, before)

    @property
    def size(self) -> int:
        """How many evaluations it takes at once."""
        return len(self._links)

    def submit(self, number: int, evaluation: Evaluation) -> None:
        """Begin an evaluation; there must be a worker that has none.

        Raises:
            StudyError: the worker has died.
        """
        index = next(index for index in range(self.size) if index not in self._busy)
        self._busy[index] = number
        try:
            self._links[index].send((evaluation.placement, evaluation.budget, evaluation.seed))
        except OSError:
            raise self._death(index) from None

    def wait(self) -> list[Finished]:
        """Wait until at least one evaluation has ended.

        Raises:
            StudyError: a worker has died.
        """
        ready = wait([self._links[index] for index in self._busy])
        return [self._receive(index) for index in sorted(self._busy) if self._links[index] in ready]

    def close(self) -> None:
        """End all workers at once; what they were doing is not finished."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
        for link in self._links:
            link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _receive(self, index: int) -> Finished:
        try:
            answer = self._links[index].recv()
        except (EOFError, OSError):
            raise self._death(index) from None
        number = self._busy.pop(index)
        name = f"{os.uname().nodename}:{self._processes[index].pid}" if hasattr(os, "uname") else str(index)
        if isinstance(answer, Outcome):
            return Finished(number, answer, None, name)
        return Finished(number, None, str(answer), name)

    def _death(self, index: int) -> StudyError:
        self._processes[index].join(timeout=5)
        code = self._processes[index].exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        hint = "; the machine may have run out of memory: try fewer --workers" if code == -signal.SIGKILL else ""
        return StudyError(f"a worker ended by {how} in trial {self._busy[index]}{hint}; the same command goes on")


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

    def wait(self) -> list[Finished]:
        """Do the oldest evaluation."""
        number, evaluation = self._queue.pop(0)
        answer = _evaluate(self._evaluator, evaluation.placement, evaluation.budget, evaluation.seed)
        outcome = answer if isinstance(answer, Outcome) else None
        return [Finished(number, outcome, None if outcome else str(answer), "inline")]


def _work(link: Connection, evaluator: Evaluator, index: int) -> None:
    """The life of a worker: one thread, one evaluation after the other, until the other end is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    while True:
        try:
            placement, budget, seed = link.recv()
            link.send(_evaluate(evaluator, placement, budget, seed))
        except (EOFError, OSError):
            return


def _evaluate(evaluator: Evaluator, placement: Placement, budget: Budget, seed: int) -> Outcome | str:
    """The outcome, or why there is none."""
    import torch

    try:
        return evaluator(placement, budget, seed)
    except NasAttnError as error:
        return "; ".join(error.problems)
    except torch.OutOfMemoryError as error:
        reason = f"out of memory: {' '.join(str(error).split())[:300]}"
    except (RuntimeError, ValueError) as error:  # torch's errors of shapes, kernels and values
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    # Only here is what the failed run held free again, for the next run and for the other workers of the GPU.
    torch.cuda.empty_cache()
    return reason


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
