"""Measure this machine: which number format and memory layout trains fastest, and how long a trial takes."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from nas_attn.budget import Budget
from nas_attn.models.described_network import Network
from nas_attn.steps import step
from nas_attn.study.memory import described, measured_once
from nas_attn.study.setup.checks import judged_images
from nas_attn.training import DeviceImages, Precision, Recipe, fresh_network
from nas_attn.training.metrics import device_name, one_thread
from nas_attn.training.precision import PRECISIONS
from nas_attn.training.step import TrainingStep

if TYPE_CHECKING:
    from nas_attn.study.setup.resolve import Resolved

_STEPS = 6
_HOPELESS = 3.0
_GAIN = {False: 1.1, True: 1.2}
"""Required speed-up of another precision, in float32 and in bfloat16, whose rounding is coarser."""
_ATTENTION_SHARE = 1.2
"""A placement of the usual spaces takes about a fifth more time than the baseline."""


def fastest_precision(
    network: Network, budget: Budget, device: torch.device, *, memory: Path | None = None
) -> Precision:
    """The precision in which a network trains fastest: float32 with channels_last, unless another is clearly
    faster.

    Args:
        network: that is trained without attention for a few steps.
        budget: for the size of the crops and the batch.
        device: where to train.
        memory: file of earlier measurements; None takes one in the user's cache folder. If it cannot be written,
            the next call measures again.
    """
    with one_thread():
        key = described(device_name(device), network, budget)
        allowed = [str(precision) for precision in PRECISIONS]
        found = measured_once("precision", key, allowed, lambda: _measure(network, budget, device), memory)
    return Precision.parse(found)


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
        device: where to train.
        precision: number format and memory layout.
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
    training_step = TrainingStep(
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
        training_step.prepare(number)
        training_step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
        if number and times[-1] > hopeless:
            break
    return statistics.median(times[1:])


def forecast_seconds(resolved: Resolved) -> float:
    """The expected time of one trial, in seconds."""
    settings, budget = resolved.settings, resolved.settings.budget
    device = torch.device(settings.devices[0])
    with one_thread(), step("timing a training step"):
        seconds = step_seconds(settings.space.network, budget, device, settings.precision)
    images = judged_images(settings, resolved.dataset)
    pixels = sum(height * width for height, width in zip(images.heights, images.widths, strict=True))
    judged = pixels / (budget.batch_size * budget.image_size**2)
    forward = settings.recipe.n_recalibration_batches(budget.steps)
    steps = settings.n_folds * (budget.steps + forward / 3) + judged / 3
    return seconds * steps * _ATTENTION_SHARE
