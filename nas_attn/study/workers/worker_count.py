"""The default number of workers: one for each core or, on a GPU, the number that runs fastest."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from nas_attn.budget import Budget
from nas_attn.errors import StudyError
from nas_attn.models.described_network import Network
from nas_attn.record import Failure, Role
from nas_attn.steps import step
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.memory import described, measured_once
from nas_attn.study.workers.pool import Finished
from nas_attn.study.workers.process_pool import ProcessPool
from nas_attn.training import Precision
from nas_attn.training.evaluation import DataSource, TrainingEvaluator
from nas_attn.training.metrics import device_name

MOST = 8
"""Maximum on one GPU."""
_LEAST_GAIN = 1.1
_STEPS = 200
_SHARE_OF_GPU = 0.8
_DEAREST = 4.0
"""The most expensive placement may need this many times the memory of the baseline."""
_CONTEXT_MIB = 1024
"""Memory that a process uses on a GPU before it has computed anything."""
WORKER_BYTES = 430_000_000
"""Main memory of a worker before it trains, for Python and PyTorch."""
_SHARE_OF_MACHINE = 0.8
"""Share of the main memory for workers; the rest is for networks, the search and the system."""


def n_workers(devices: tuple[str, ...], network: Network, budget: Budget, precision: Precision) -> int:
    """The default number of workers of a search: one for each core, or the number with which its GPUs are fastest.

    Args:
        devices: ``("cpu",)``, or GPUs such as ``cuda:0``.
        network: whose baseline is trained.
        budget: for the size of the crops and the batch.
        precision: of the runs.
    """
    if devices == ("cpu",):
        return n_cores()
    with step("measuring how many trials a GPU runs fastest"):
        return len(devices) * workers_per_gpu(network, budget, precision, devices[0])


def n_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def crowded(workers: int, machine_bytes: int | None) -> str | None:
    """Why this number of workers is too large, and which number is not.

    Args:
        workers: processes on this machine.
        machine_bytes: memory that they may use together; None if it is not known.
    Returns:
        None if there is enough memory.
    """
    if machine_bytes is None:
        return None
    most = max(1, int(_SHARE_OF_MACHINE * machine_bytes / WORKER_BYTES))
    if workers <= most:
        return None
    return (
        f"{workers} workers take {workers * WORKER_BYTES / 1e9:.1f} GB of memory before they train, "
        f"{WORKER_BYTES / 1e6:.0f} MB each, and this machine has {machine_bytes / 1e9:.1f} GB: it may end them; "
        f"--workers {most} or fewer fit"
    )


def workers_per_gpu(
    network: Network, budget: Budget, precision: Precision, device: str, *, memory: Path | None = None
) -> int:
    """The number of workers on one GPU with the most trials per hour, measured once and then stored.

    Args:
        network: whose baseline is trained.
        budget: for the size of the crops and the batch.
        precision: of the runs.
        device: such as ``cuda:0``.
        memory: file of earlier measurements; None takes one in the user's cache folder.
    """
    place = torch.device(device)
    key = f"{described(device_name(place), network, budget)}, {precision}"
    allowed = [str(number) for number in range(1, MOST + 1)]

    def measure() -> int:
        source = DataSource(image_size=budget.image_size)
        evaluator = TrainingEvaluator(network, source, device=device, precision=precision)
        short = replace(budget, steps=_STEPS)
        return best_number(lambda workers: _rate(evaluator, short, workers), _room(evaluator, short, place))

    return int(measured_once("workers", key, allowed, measure, memory))


def best_number(rate: Callable[[int], float], most: int) -> int:
    """Double the number as long as the rate grows by a tenth.

    Args:
        rate: returns the trials per second for a number of workers.
        most: maximum number.
    """
    best, fastest = 1, rate(1)
    while 2 * best <= most and (faster := rate(2 * best)) > _LEAST_GAIN * fastest:
        best, fastest = 2 * best, faster
    return best


def _room(evaluator: TrainingEvaluator, budget: Budget, device: torch.device) -> int:
    """Number of workers for which the memory and the cores of the machine are enough."""
    outcome = evaluator(evaluator.network.plain, replace(budget, steps=2), 0)
    needed = _CONTEXT_MIB + _DEAREST * (outcome.cost.peak_memory_mib or 0.0)
    total = torch.cuda.get_device_properties(device).total_memory / 2**20
    return max(1, min(MOST, os.cpu_count() or 1, int(total * _SHARE_OF_GPU / needed)))


def _rate(evaluator: TrainingEvaluator, budget: Budget, workers: int) -> float:
    """Trials per second, after every worker has started and trained once; 0 if one failed."""
    try:
        with ProcessPool([evaluator] * workers) as pool:
            _round(pool, evaluator, budget)
            started = time.perf_counter()
            failed = _round(pool, evaluator, budget)
            return 0.0 if failed else workers / (time.perf_counter() - started)
    except StudyError:  # so many have no room for their images, or cannot be started
        return 0.0


def _round(pool: ProcessPool, evaluator: TrainingEvaluator, budget: Budget) -> int:
    """Run one trial on every worker, and return how many of them failed."""
    for number in range(pool.size):
        pool.submit(number, Evaluation(evaluator.network.plain, budget, 0, Role.REFERENCE))
    finished: list[Finished] = []
    while len(finished) < pool.size:
        finished += pool.wait()
    return sum(isinstance(one.answer, Failure) for one in finished)
