"""A worker process: one thread that evaluates one placement after the other, until its connection closes."""

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
"""Sent by a worker once it can evaluate."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerLog:
    """Where a worker logs.

    Args:
        path: of the log file.
        level: the lowest level that is written.
    """

    path: Path
    level: str


def work(link: Connection, worker_log: WorkerLog | None, sign_seconds: float) -> None:
    """Receive an evaluator and send ``READY``. Then answer each (number, evaluation) with an outcome or a failure.
    In between, send the number of steps as a sign of life.

    The signs of life begin before the evaluator is received, because receiving it imports PyTorch, which takes
    long on a slow disk or a busy machine.

    Args:
        link: to the process that has the study.
        worker_log: where to log; None leaves the streams of the process alone.
        sign_seconds: time between two signs of life.
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
    """The evaluator. If it cannot be loaded, one that fails with the reason."""
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
    """Load PyTorch and set it up as in every worker: one thread, which keeps the memory that it frees."""
    import torch

    from nas_attn.training.heap import keep_freed_memory

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    keep_freed_memory()


@dataclass(frozen=True)
class _Unloadable:
    """Replaces an evaluator that could not be loaded.

    Args:
        why: in words.
    """

    why: str

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        raise ImportError(self.why)


def logged_attempt(evaluator: Evaluator, number: int, evaluation: Evaluation) -> Outcome | Failure:
    """Run an evaluation and log its result."""
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
    """Name of the score's metric; IoU if the score has none."""
    return METRICS[score.counts.metric if score.counts else MEAN_IOU].word


@contextmanager
def _signs_of_life(link: Connection, lock: threading.Lock, every: float) -> Iterator[None]:
    """Send the steps taken as signs of life, as long as the main thread makes progress.

    An alarm interrupts the main thread, which counts it. If that thread is stuck in a call into a library or
    driver that never returns, it counts nothing, and no sign is sent although this thread is alive.
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
