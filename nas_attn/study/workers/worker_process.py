"""The life of a worker process: one thread, one evaluation after the other, until the other end is gone."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from nas_attn.budget import Budget
from nas_attn.metric import MEAN_IOU, METRICS
from nas_attn.models.placement import Placement
from nas_attn.record import Failure, Outcome, Score
from nas_attn.steps import STEPS
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.log import log_for_good
from nas_attn.study.workers.attempt import Evaluator, attempt

READY = "ready"
"""What a worker says once it can evaluate."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerLog:
    """Where a worker logs.

    Args:
        path: of its file.
        level: the least that is written.
    """

    path: Path
    level: str


def work(link: Connection, worker_log: WorkerLog | None, sign_seconds: float) -> None:
    """Take an evaluator and say ``READY``, then answer each (number, evaluation) with an outcome or a failure, and
    its steps as a sign of life in between.

    The signs begin before the evaluator is taken: to take it is to import PyTorch, which takes long on a slow disk
    or a busy machine.

    Args:
        link: to the process that has the study.
        worker_log: where to log; None leaves the streams of the process alone.
        sign_seconds: between two signs of life.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if worker_log is not None:
        log_for_good(worker_log.path, worker_log.level)
    os.environ["OMP_NUM_THREADS"] = "1"
    lock = threading.Lock()
    with _signs_of_life(link, lock, sign_seconds):
        try:
            evaluator = _taken(link)
            with lock:
                link.send(READY)
        except (EOFError, ConnectionError):
            return
        while True:
            try:
                number, evaluation = link.recv()
                STEPS.taken = STEPS.total = 0
                found = logged_attempt(evaluator, number, evaluation)
                with lock:
                    link.send(found)
            except (EOFError, OSError):
                return


def _taken(link: Connection) -> Evaluator:
    """The evaluator; where it cannot be loaded, one that says why whenever it is asked."""
    try:
        evaluator: Evaluator = link.recv()
        compute_on_one_core()
    except (EOFError, ConnectionError):
        raise
    except Exception as error:  # whatever a package that is gone, broken or half replaced raises
        log.exception("worker %d cannot load what it needs", os.getpid())
        return _Unloadable(f"a worker cannot load what it needs: {type(error).__name__}: {error}")
    log.info("worker %d started", os.getpid())
    return evaluator


def compute_on_one_core() -> None:
    """Load PyTorch and set it up as every worker has it: one thread, which keeps the memory that it frees."""
    import torch

    from nas_attn.training.heap import keep_freed_memory

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_freed_memory()


@dataclass(frozen=True)
class _Unloadable:
    """In the place of an evaluator that could not be loaded.

    Args:
        why: in words.
    """

    why: str

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        raise ImportError(self.why)


def logged_attempt(evaluator: Evaluator, number: int, evaluation: Evaluation) -> Outcome | Failure:
    """What an evaluation comes to, told to the log."""
    log.info("trial %d: %s, seed %d, %s", number, evaluation.placement.id, evaluation.seed, evaluation.budget)
    try:
        found = attempt(evaluator, evaluation)
    except Exception:
        log.exception("trial %d: a mistake in nas-attn", number)
        raise
    if isinstance(found, Outcome):
        log.info("trial %d: %s %.4f in %.1f s", number, _word(found.score), found.score.iou, found.seconds)
    else:
        log.warning("trial %d: %s", number, found.reason)
    return found


def _word(score: Score) -> str:
    """What its value is called; IoU where it does not say."""
    return METRICS[score.counts.metric if score.counts else MEAN_IOU].word


@contextmanager
def _signs_of_life(link: Connection, lock: threading.Lock, every: float) -> Iterator[None]:
    """Send the steps taken now and then, as long as the main thread still gets on.

    An alarm interrupts the main thread and is counted by it. While it is stuck in a call into a library or a
    driver that never returns, it counts nothing, and no sign is sent though this thread lives.
    """
    alarms = 0

    def count(number: int, frame: object) -> None:
        nonlocal alarms
        alarms += 1

    def send() -> None:
        seen = -1
        while not ended.wait(every):
            if alarms == seen:
                continue
            seen = alarms
            try:
                with lock:
                    link.send(STEPS)
            except OSError:
                return

    ended = threading.Event()
    signal.signal(signal.SIGALRM, count)
    signal.siginterrupt(signal.SIGALRM, False)  # system calls of libraries go on
    signal.setitimer(signal.ITIMER_REAL, every / 2, every / 2)
    threading.Thread(target=send, daemon=True).start()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        ended.set()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
