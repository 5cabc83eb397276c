"""Which number format and memory layout trains fastest on this machine: measured once, then remembered."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch

from nas_attn.budget import Budget
from nas_attn.models.described_network import Network
from nas_attn.study.memory import default_memory, described, recall, remember
from nas_attn.training import DeviceImages, Precision, Recipe, fresh_network
from nas_attn.training.metrics import device_name, one_thread
from nas_attn.training.precision import PRECISIONS
from nas_attn.training.step import TrainingStep

_STEPS = 6
_HOPELESS = 3.0
_GAIN = {False: 1.1, True: 1.2}
"""How many times as fast another precision must be, in float32 and in bfloat16, whose rounding is coarser."""


def fastest_precision(
    network: Network, budget: Budget, device: torch.device, *, memory: Path | None = None
) -> Precision:
    """The precision in which a network trains fastest, float32 with channels_last unless another clearly wins.

    Args:
        network: which is trained without attention for a few steps.
        budget: for the size of the crops and the batch.
        device: where.
        memory: file of what was measured before; None is in the user's cache folder. Where it cannot be written,
            the next call measures again.
    """
    memory = memory or default_memory("precision")
    with one_thread():
        key = described(device_name(device), network, budget)
        known = recall(memory, [str(precision) for precision in PRECISIONS])
        if key not in known:
            known[key] = str(_measure(network, budget, device))
            remember(memory, known)
    return Precision.parse(known[key])


def _measure(network: Network, budget: Budget, device: torch.device) -> Precision:
    best, *others = PRECISIONS
    least = step_seconds(network, budget, device, best)
    for precision in others:
        seconds = step_seconds(network, budget, device, precision, hopeless=_HOPELESS * least)
        if seconds * _GAIN[precision.bfloat16] < least:
            best, least = precision, seconds
    return best


def step_seconds(
    network: Network,
    budget: Budget,
    device: torch.device,
    precision: Precision,
    *,
    hopeless: float = float("inf"),
) -> float:
    """Median time of a network's training step, without attention, in seconds.

    Args:
        network: without attention.
        budget: for the size of the crops and the batch.
        device: where.
        precision: in which.
        hopeless: a step that takes longer ends the measurement.
    """
    with torch.random.fork_rng(devices=[]):
        module = fresh_network(network, network.plain, 0)
    size = budget.image_size
    shape = (2 * budget.batch_size * network.frames, network.in_channels, size, size)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    sizes, ones = (size,) * len(pixels), (1.0,) * network.in_channels
    images = DeviceImages.pack(
        pixels,
        pixels[:, 0] % network.classes,
        sizes,
        sizes,
        ones,
        ones,
        device=device,
        clips=(network.frames,) * (2 * budget.batch_size),
        frames=network.frames,
    )
    steps = _STEPS + 2
    step = TrainingStep(
        precision.place(module, device).train(),
        images,
        replace(budget, steps=steps),
        seed=0,
        recipe=Recipe(),
        precision=precision,
    )
    times: list[float] = []
    for number in range(steps):
        started = time.perf_counter()
        step.prepare(number)
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
        if number and times[-1] > hopeless:
            break
    return statistics.median(times[1:])
