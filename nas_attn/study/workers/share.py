"""How many workers share a GPU: as many as its memory holds and as its throughput still grows with."""

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
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.memory import default_memory, described, recall, remember
from nas_attn.study.workers.pool import Finished
from nas_attn.study.workers.process_pool import ProcessPool
from nas_attn.training import Precision
from nas_attn.training.evaluation import DataSource, TrainingEvaluator
from nas_attn.training.metrics import device_name

MOST = 8
_LEAST_GAIN = 1.1
_STEPS = 200
_SHARE_OF_MEMORY = 0.8
_DEAREST = 4.0
"""The dearest placement may need so many times the memory of the plain U-Net."""
_CONTEXT_MIB = 1024
"""What a process takes on a GPU before it has done anything."""


def workers_per_gpu(
    network: Network, budget: Budget, precision: Precision, device: str, *, memory: Path | None = None
) -> int:
    """The number of workers on one GPU with the most trials per hour, measured once and then remembered.

    Args:
        network: whose plain U-Net is trained.
        budget: for the size of the crops and the batch.
        precision: of the runs.
        device: such as ``cuda:0``.
        memory: file of what was measured before; None is in the user's cache folder.
    """
    memory = memory or default_memory("workers")
    place = torch.device(device)
    key = f"{described(device_name(place), network, budget)}, {precision}"
    known = recall(memory, [str(number) for number in range(1, MOST + 1)])
    if key not in known:
        evaluator = TrainingEvaluator(
            network, DataSource(image_size=budget.image_size), device=device, precision=precision
        )
        short = replace(budget, steps=_STEPS)
        room = _room(evaluator, short, place)
        known[key] = str(best_number(lambda workers: _rate(evaluator, short, workers), room))
        remember(memory, known)
    return int(known[key])


def best_number(rate: Callable[[int], float], most: int) -> int:
    """Doubled for as long as that brings a tenth more.

    Args:
        rate: trials per second of so many workers.
        most: how many there may be at most.
    """
    best, fastest = 1, rate(1)
    while 2 * best <= most and (faster := rate(2 * best)) > _LEAST_GAIN * fastest:
        best, fastest = 2 * best, faster
    return best


def _room(evaluator: TrainingEvaluator, budget: Budget, device: torch.device) -> int:
    """How many workers the memory and the cores of the machine have room for."""
    outcome = evaluator(evaluator.network.plain, replace(budget, steps=2), 0)
    needed = _CONTEXT_MIB + _DEAREST * (outcome.cost.peak_memory_mib or 0.0)
    total = torch.cuda.get_device_properties(device).total_memory / 2**20
    return max(1, min(MOST, os.cpu_count() or 1, int(total * _SHARE_OF_MEMORY / needed)))


def _rate(evaluator: TrainingEvaluator, budget: Budget, workers: int) -> float:
    """Trials per second, when every worker has started and trained once; 0 where one failed."""
    try:
        with ProcessPool([evaluator] * workers) as pool:
            _round(pool, evaluator, budget)
            started = time.perf_counter()
            failed = _round(pool, evaluator, budget)
            return 0.0 if failed else workers / (time.perf_counter() - started)
    except StudyError:  # so many have no room for their images, or cannot be started
        return 0.0


def _round(pool: ProcessPool, evaluator: TrainingEvaluator, budget: Budget) -> int:
    """One trial on every worker; how many of them failed."""
    for number in range(pool.size):
        pool.submit(number, Evaluation(evaluator.network.plain, budget, 0, Role.CONTROL))
    finished: list[Finished] = []
    while len(finished) < pool.size:
        finished += pool.wait()
    return sum(isinstance(one.answer, Failure) for one in finished)
