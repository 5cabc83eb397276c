"""Workers as Ray actors, on any node of a Ray cluster. Ray places them and finds their GPUs."""

from __future__ import annotations

import importlib.util
import logging
import os
import platform
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from nas_attn.errors import DataError, MissingPackageError, StudyError
from nas_attn.record import Failure, Outcome
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.log import log_for_good
from nas_attn.study.workers.attempt import CRASH, DEVICE, Evaluator
from nas_attn.study.workers.death import Death
from nas_attn.study.workers.pool import Finished, Task, Workers, is_fault
from nas_attn.study.workers.worker_process import WorkerLog, compute_on_one_core, logged_attempt

_CONNECT_SECONDS = 5.0
_FOUND_BY_RAY = ("auto", "local")
"""Not addresses: Ray finds or starts the cluster on this machine."""
_MEND = "start a cluster with 'ray start --head' and give the address that it prints, or leave --address out"

log = logging.getLogger(__name__)


class RayPool(Workers):
    """One actor for each worker. An actor that dies is started again where the cluster has room for it.

    Args:
        evaluators: one for each worker; each reads the data itself, on its node.
        address: of the cluster, ``auto`` for that of this machine; None starts one here.
        logs: one for each worker, on its node; empty if nothing is logged.
        gpus: share of a GPU for each worker; 0 for workers on CPUs.
        fingerprint: that the data of every node must have; empty if the evaluators have none.
    Raises:
        MissingPackageError: Ray is not installed.
        StudyError: there is no cluster at that address.
    """

    def __init__(
        self,
        evaluators: Sequence[Evaluator],
        logs: Sequence[WorkerLog] = (),
        *,
        address: str | None = None,
        gpus: float = 0.0,
        fingerprint: str = "",
    ) -> None:
        super().__init__()
        self._ray = _connected(address, len(evaluators))
        self._worker = self._ray.remote(num_cpus=1, num_gpus=gpus)(_Actor)
        self._starts = [
            (evaluator, fingerprint, logs[index] if logs else None) for index, evaluator in enumerate(evaluators)
        ]
        self._actors = [self._worker.remote(*start) for start in self._starts]
        self._tasks: dict[int, Task] = {}
        self._answers: dict[Any, int] = {}

    @property
    def size(self) -> int:
        """Number of evaluations that run in parallel."""
        return len(self._actors)

    def wait(self, seconds: float | None = None) -> list[Finished]:
        """Wait until at least one evaluation has ended.

        Args:
            seconds: after which to return in any case; None waits without limit.
        Raises:
            StudyError: the machine is out of order.
        """
        if not self._answers:
            time.sleep(seconds or 0)
            return []
        ready, _ = self._ray.wait(list(self._answers), timeout=seconds)
        finished = [one for answer in ready if (one := self._receive(answer))]
        self._begin()
        return finished

    def close(self) -> None:
        """End all workers. Their running evaluations are lost."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._ray.shutdown()

    def _running(self) -> Mapping[int, Task]:
        return self._tasks

    def _give(self, index: int, task: Task) -> None:
        self._tasks[index] = task
        self._answers[self._actors[index].evaluate.remote(task.number, task.evaluation)] = index

    def _receive(self, answer: Any) -> Finished | None:
        """The result of a worker; None if it has died and its evaluation starts again."""
        index = self._answers.pop(answer)
        task = self._tasks.pop(index)
        try:
            worker, found = self._ray.get(answer)
        except self._ray.exceptions.RayTaskError as error:
            raise StudyError(f"a worker of Ray failed: {_last_line(error)}") from None
        except self._ray.exceptions.RayError as error:
            out_of_memory = isinstance(error, self._ray.exceptions.OutOfMemoryError)
            death = Death(_last_line(error), own=out_of_memory, out_of_memory=out_of_memory)
            return self._replace(index, task, death)
        if isinstance(found, Failure) and found.cause == CRASH:
            return self._replace(index, task, Death(found.reason, own=True))
        if not is_fault(found):
            return Finished(task.number, found, worker)
        task.excuse(found)
        if found.cause == DEVICE:
            self._restart(index)
        self._waiting.append(task)
        return None

    def _replace(self, index: int, task: Task, death: Death) -> Finished | None:
        self._restart(index)
        if given_up := task.mourn(death, "ray"):
            return given_up
        log.warning("trial %d is started again, because its worker ended: %s", task.number, death.how)
        self._waiting.append(task)
        return None

    def _restart(self, index: int) -> None:
        self._ray.kill(self._actors[index])
        self._actors[index] = self._worker.remote(*self._starts[index])


class _Actor:
    """Evaluates in a process of Ray's, with one thread."""

    def __init__(self, evaluator: Any, fingerprint: str, worker_log: WorkerLog | None) -> None:
        if worker_log is not None:
            log_for_good(worker_log.path, worker_log.level)
        compute_on_one_core()
        self._evaluator = evaluator
        self._fingerprint = fingerprint
        logging.getLogger(__name__).info("worker %d started on %s", os.getpid(), platform.node())

    def evaluate(self, number: int, evaluation: Evaluation) -> tuple[str, Outcome | Failure]:
        """The worker's name, and an outcome or why there is none."""
        if self._fingerprint and (found := self._evaluator.dataset.fingerprint) != self._fingerprint:
            raise DataError(f"{platform.node()}: other data than the study's: {found} for {self._fingerprint}")
        return f"{platform.node()}:{os.getpid()}", logged_attempt(self._evaluator, number, evaluation)


def check_ray() -> None:
    """Check that Ray is installed, without loading it.

    Raises:
        MissingPackageError: it is not.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingPackageError("--engine ray: Ray is not installed; pip install 'nas-attn[ray]'")


def _connected(address: str | None, workers: int) -> Any:
    check_ray()
    import ray

    alone = {"num_cpus": workers, "include_dashboard": False} if address is None else {"address": address}
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(configure_logging=False, log_to_driver=False, **alone)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise StudyError(
            f"--address {address}: no Ray cluster can be reached: {_last_line(error)}; start one with "
            "'ray start --head', or leave --address out to use this machine alone"
        ) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray puts one of its own in its place
    return ray


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def check_cluster(address: str, seconds: float = _CONNECT_SECONDS) -> None:
    """Connect to an address once, and disconnect.

    Args:
        address: ``auto``, ``local``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        seconds: to wait for an answer.
    Raises:
        StudyError: it is not an address, or nobody answers there.
    """
    if address in _FOUND_BY_RAY:
        return
    host, port = _parts(address)
    try:
        socket.create_connection((host, port), seconds).close()
    except (OSError, UnicodeError) as error:
        raise StudyError(f"--address {address}: no answer there ({_why(error)}); {_MEND}") from None


def _parts(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address if "://" in address else f"ray://{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.scheme != "ray":
        raise StudyError(
            f"--address {address}: no address of a Ray cluster; give HOST:PORT, such as 10.0.0.5:6379, or "
            "ray://HOST:PORT, or auto for the cluster of this machine"
        )
    return host, port


def _why(error: OSError | UnicodeError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
