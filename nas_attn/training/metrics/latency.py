"""How long a forward pass takes."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn


def measure_latency_ms(
    module: nn.Module, shape: tuple[int, ...], device: torch.device, *, warmups: int = 5, repeats: int = 30
) -> float:
    """The median time of one forward pass in evaluation, in milliseconds.

    Args:
        module: any network of one input; a copy of it is timed, so it stays as and where it is.
        shape: of the input, N included (1 for the latency of one image).
        device: where to time it; a GPU is timed by its own clock.
        warmups: passes before the first that counts.
        repeats: passes whose median is taken.
    """
    double = copy.deepcopy(module).to(device).eval()
    image = torch.zeros(shape, device=device)
    with torch.inference_mode():
        for _ in range(warmups):
            double(image)
        times = gpu_times_ms if device.type == "cuda" else _clock_times
        return statistics.median(times(lambda: double(image), device, repeats))


def _clock_times(step: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        times.append((time.perf_counter() - start) * 1000)
    return times


def gpu_times_ms(step: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """What a step takes by the GPU's own clock, in milliseconds, so many times."""
    stream = torch.cuda.current_stream(device)
    marks = [(_mark(), _mark()) for _ in range(repeats)]
    torch.cuda.synchronize(device)
    for start, end in marks:
        start.record(stream)
        step()
        end.record(stream)
    torch.cuda.synchronize(device)
    return [start.elapsed_time(end) for start, end in marks]


def _mark() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch leaves it untyped
