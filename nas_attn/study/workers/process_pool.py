"""Worker processes on this machine. A worker that dies or hangs is replaced, and its evaluation is repeated."""

from __future__ import annotations

import logging
import multiprocessing
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from nas_attn.errors import StudyError
from nas_attn.record import Failure
from nas_attn.steps import StepCount
from nas_attn.study.database.signs_of_life import Watch
from nas_attn.study.workers.attempt import CRASH, DEVICE, Evaluator
from nas_attn.study.workers.death import Death, death_of, n_memory_kills
from nas_attn.study.workers.forked import start_process
from nas_attn.study.workers.pool import Finished, Task, Workers, is_fault
from nas_attn.study.workers.worker_process import READY, WorkerLog, work

SIGN_SECONDS = 2.0
PATIENCE_SECONDS = 600.0
"""A worker without a sign of life for this long hangs: no single call during a training takes minutes."""
_DEATHS_IN_A_ROW = 30
"""Number of workers that may end in a row, without one finished evaluation, before the search is given up."""
_STILLBORN_IN_A_ROW = 3
"""Number of workers that may crash before they are ready, before the search is given up."""

Follow = Callable[[int, StepCount], None]
"""Called with the number of a trial and the steps that its training has taken."""

log = logging.getLogger(__name__)


def nobody(number: int, steps: StepCount) -> None:
    """Ignore the progress."""


@dataclass
class _Worker:
    """A process, its connection and its current task."""

    process: BaseProcess
    link: Connection
    memory_kills: int
    task: Task | None = None
    signs: int = 0
    ready: bool = False

    @property
    def name(self) -> str:
        return f"{platform.node()}:{self.process.pid}"


class ProcessPool(Workers):
    """Processes with one thread each. They end with the process that started them, however it ends.

    Args:
        evaluators: one for each worker; plain values that can be sent to a process.
        logs: one for each worker; empty if nothing is logged.
        mend: repairs what all workers share, after an evaluation failed for a reason outside of it or ended its
            worker.
        follow: called regularly with the progress of each evaluation.
        sign_seconds: time between two signs of life of a worker.
        patience: seconds without a sign of life after which a worker counts as hanging.
    """

    def __init__(
        self,
        evaluators: Sequence[Evaluator],
        logs: Sequence[WorkerLog] = (),
        *,
        mend: Callable[[], object] = lambda: None,
        follow: Follow = nobody,
        sign_seconds: float = SIGN_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        super().__init__()
        self._evaluators = evaluators
        self._logs = logs
        self._mend = mend
        self._follow = follow
        self._sign_seconds = sign_seconds
        self._patience = patience
        self._watch: Watch[int] = Watch(patience, sign_seconds)
        self._looked = time.monotonic()
        self._deaths_in_a_row = self._stillborn_in_a_row = 0
        self._workers: list[_Worker] = []
        try:
            for index in range(len(evaluators)):
                self._workers.append(self._start(index))
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Number of evaluations that run in parallel."""
        return len(self._evaluators)

    def wait(self, seconds: float | None = None) -> list[Finished]:
        """Wait until at least one evaluation has ended.

        Args:
            seconds: after which to return in any case; None waits without limit.
        Raises:
            StudyError: workers keep dying, or the machine is out of order.
        """
        end = float("inf") if seconds is None else time.monotonic() + seconds
        while True:
            left = max(0.0, min(end - time.monotonic(), self._sign_seconds))
            ready = wait([worker.link for worker in self._workers], left)
            finished = [
                one
                for index, worker in enumerate(self._workers)
                if worker.link in ready and (one := self._receive(index))
            ]
            finished += self._end_those_that_hang()
            self._begin()
            if finished or time.monotonic() >= end:
                return finished

    def close(self) -> None:
        """End all workers immediately. Their running evaluations are lost."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.link.close()
        self._workers.clear()

    def _start(self, index: int) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        worker_log = self._logs[index] if self._logs else None
        try:  # it ignores Ctrl-C: the main process decides what happens then
            process = start_process(work, theirs, worker_log, self._sign_seconds)
        except OSError as error:
            raise StudyError(f"a worker cannot be started: {error.strerror}; try fewer --workers") from None
        theirs.close()
        with suppress(OSError):  # it is already dead, which is found when it is given a task
            ours.send(self._evaluators[index])
        return _Worker(process, ours, n_memory_kills())

    def _running(self) -> Mapping[int, Task]:
        return {index: worker.task for index, worker in enumerate(self._workers) if worker.task is not None}

    def _give(self, index: int, task: Task) -> None:
        """Send a task to a worker, which is replaced first if it has died."""
        try:
            self._workers[index].link.send((task.number, task.evaluation))
        except OSError:
            self._bury(index)
            self._give(index, task)
        else:
            self._workers[index].task = task

    def _receive(self, index: int) -> Finished | None:
        """The result that a worker sends; None for a sign of life, or if its evaluation starts again."""
        worker = self._workers[index]
        try:
            answer = worker.link.recv()
        except (EOFError, OSError):
            return self._replace(index)
        worker.signs += 1
        if answer == READY:
            worker.ready, self._stillborn_in_a_row = True, 0
            return None
        if isinstance(answer, StepCount):
            if worker.task is not None:
                self._follow(worker.task.number, answer)
            return None
        if worker.task is None:
            return None
        if isinstance(answer, Failure) and answer.cause == CRASH:
            worker.process.kill()
            return self._replace(index, Death(answer.reason, own=True))
        if is_fault(answer):
            self._repeat(index, worker.task, answer)
            return None
        task, worker.task = worker.task, None
        self._deaths_in_a_row = 0
        return Finished(task.number, answer, worker.name)

    def _repeat(self, index: int, task: Task, fault: Failure) -> None:
        """Repair what can be repaired and repeat an evaluation that failed for a reason outside of it."""
        self._workers[index].task = None
        task.excuse(fault)
        if fault.cause == DEVICE:
            self._workers[index].process.kill()
            self._bury(index)
        self._mend()
        self._waiting.append(task)

    def _replace(self, index: int, known: Death | None = None) -> Finished | None:
        """Replace a dead worker. Its task starts again, unless that is hopeless."""
        worker = self._workers[index]
        task, name, was_ready = worker.task, worker.name, worker.ready
        death = self._bury(index, known)
        if task is None:
            return None
        if (was_ready or not death.own) and (given_up := task.mourn(death, name)):
            return given_up
        again = f"started again{' alone' if task.alone else ''}"
        log.warning("trial %d is %s, since its worker %s ended by %s", task.number, again, name, death.how)
        if death.own:
            self._mend()
        self._waiting.append(task)
        return None

    def _bury(self, index: int, known: Death | None = None) -> Death:
        worker = self._workers[index]
        worker.process.join(timeout=5)
        worker.link.close()
        death = known or death_of(worker.process.exitcode, out_of_memory=n_memory_kills() > worker.memory_kills)
        self._deaths_in_a_row += 1
        self._stillborn_in_a_row += death.own and not worker.ready
        if self._deaths_in_a_row > _DEATHS_IN_A_ROW or self._stillborn_in_a_row >= _STILLBORN_IN_A_ROW:
            raise StudyError(
                f"{self._deaths_in_a_row} workers have ended without finishing a trial, the last one by "
                f"{death.how}; try fewer --workers, or look into the log files; the same command resumes"
            )
        self._workers[index] = self._start(index)
        return death

    def _end_those_that_hang(self) -> list[Finished]:
        """Kill and replace each worker that gives no sign of life."""
        now = time.monotonic()
        if now - self._looked < self._sign_seconds:
            return []
        self._looked = now
        busy = {index: self._workers[index] for index in self._running()}
        signs = {index: (worker.process.pid, worker.signs) for index, worker in busy.items()}
        finished = []
        for index in self._watch.look(signs):
            busy[index].process.kill()
            hung = Death(f"no sign of life for {self._patience:.0f} s", own=True)
            if one := self._replace(index, hung):
                finished.append(one)
        return finished
