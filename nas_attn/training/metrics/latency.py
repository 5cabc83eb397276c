"""Time of a step: measured alone, or interleaved with others on one core."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import nn

from nas_attn.latencies import Latency
from nas_attn.training.heap import keep_freed_memory

Step = Callable[[], object]
Times = Mapping[str, Sequence[float]]

LEAST_ROUNDS, MOST_ROUNDS = 7, 200
"""Limits on the rounds of a measurement, whatever its time limit."""
_PRECISE = 0.008
"""Standard error of a ratio below which measuring stops: two measurements then differ by less than 3 %."""
_PASSES = 2
"""Passes in each turn of a step; their mean counts."""
_WARM_UPS = 3
_TURNS = 3
"""Turns of the baseline in each round; it has more because all ratios are taken to it."""
_TRIMMED = 0.1
"""Share of the rounds that is left out at each end."""


def measure_latency_ms(
    module: nn.Module, shape: tuple[int, ...], device: torch.device, *, warmups: int = 5, repeats: int = 30
) -> float:
    """The median time of one forward pass in evaluation, in milliseconds.

    Args:
        module: any network of one input; a copy is timed, so the module keeps its state and its device.
        shape: of the input, N included (1 for the latency of one image).
        device: where to time it; a GPU is timed by its own clock.
        warmups: passes before the first timed pass.
        repeats: timed passes; their median is returned.
    """
    double = copy.deepcopy(module).to(device).eval()
    image = torch.zeros(shape, device=device)
    with torch.inference_mode():
        for _ in range(warmups):
            double(image)
        return statistics.median(_times_ms(lambda: double(image), device, repeats, _wall_ms))


def interleaved_times(
    steps: Mapping[str, Step], baseline: str, device: torch.device, *, seconds: float, seed: int = 0
) -> dict[str, list[float]]:
    """Milliseconds of each step in each round. In a round every step has its turn, in a new random order.

    On a CPU one thread computes, pinned to one core, and its CPU time is taken, so that time used by other
    programs does not count. A GPU is timed by its own clock.

    Args:
        steps: by name; each computes on the device.
        baseline: name of the step that has three turns in each round; their mean counts.
        device: where.
        seconds: no further round begins after this time, once there are ``LEAST_ROUNDS``. Measuring stops earlier
            if all ratios to the baseline have a standard error of at most 0.8 %, or after ``MOST_ROUNDS``.
        seed: of the orders.
    """
    drawn, times = random.Random(seed), {name: list[float]() for name in steps}
    turns = [*steps, *[baseline] * (_TURNS - 1)]
    with torch.inference_mode(), pinned(device):
        for step in steps.values():
            _times_ms(step, device, _WARM_UPS, _thread_ms)
        end = time.monotonic() + seconds
        while not _is_over(times, baseline, end):
            taken: dict[str, list[float]] = {name: [] for name in steps}
            for name in drawn.sample(turns, len(turns)):
                taken[name] += _times_ms(steps[name], device, _PASSES, _thread_ms)
            for name, passes in taken.items():
                times[name].append(statistics.fmean(passes))
    return times


def latencies_of(times: Times, baseline: str) -> dict[str, Latency]:
    """The latency of each step, from its ratio to the baseline in the same round.

    Args:
        times: milliseconds of each step in each round, at least two.
        baseline: name of a step.
    """
    base = statistics.median(times[baseline])
    found = {}
    for name in times:
        logs = sorted(_log_ratios(times, name, baseline))
        left_out = int(_TRIMMED * len(logs))
        ratio = math.exp(statistics.fmean(logs[left_out : len(logs) - left_out]))
        low, _, high = map(math.exp, statistics.quantiles(logs, n=4, method="inclusive"))
        found[name] = Latency(base * ratio, ratio, low, high)
    return found


def _is_over(times: Times, baseline: str, end: float) -> bool:
    rounds = len(times[baseline])
    if rounds < LEAST_ROUNDS:
        return False
    if rounds >= MOST_ROUNDS or time.monotonic() >= end:
        return True
    spreads = (statistics.stdev(_log_ratios(times, name, baseline)) for name in times)
    return rounds % LEAST_ROUNDS == 0 and max(spreads) / math.sqrt(rounds) <= _PRECISE


def _log_ratios(times: Times, name: str, baseline: str) -> list[float]:
    """Logarithm of the ratio to the baseline, round by round."""
    return [math.log(one / other) for one, other in zip(times[name], times[baseline], strict=True)]


def _times_ms(step: Step, device: torch.device, number: int, clock: Callable[[], float]) -> list[float]:
    """Time of a step in milliseconds, measured ``number`` times; a GPU uses its own clock instead of ``clock``."""
    if device.type == "cuda":
        return _gpu_times_ms(step, device, number)
    found = []
    for _ in range(number):
        start = clock()
        step()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        found.append(clock() - start)
    return found


def _wall_ms() -> float:
    return time.perf_counter() * 1000


def _thread_ms() -> float:
    """CPU time of this thread, in milliseconds."""
    return time.thread_time_ns() / 1e6


def _gpu_times_ms(step: Step, device: torch.device, number: int) -> list[float]:
    stream = torch.cuda.current_stream(device)
    marks = [(_mark(), _mark()) for _ in range(number)]
    torch.cuda.synchronize(device)
    for start, end in marks:
        start.record(stream)
        step()
        end.record(stream)
    torch.cuda.synchronize(device)
    return [start.elapsed_time(end) for start, end in marks]


def _mark() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch leaves it untyped


@contextlib.contextmanager
def pinned(device: torch.device) -> Iterator[None]:
    """Compute with a single thread, pinned to one core if the system allows it.

    Args:
        device: on which is computed; only a CPU is affected.
    """
    if device.type != "cpu":
        yield
        return
    with one_thread(), _one_core():
        yield


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute with a single thread, and keep freed memory in the process, as the workers do."""
    keep_freed_memory()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, allowed)
