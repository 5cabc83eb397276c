"""How long a trial will take, found out by a few steps of the plain U-Net."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from nas_attn.budget import Budget
from nas_attn.evaluate import pack_sets
from nas_attn.study.resolve import Resolved
from nas_attn.training import Recipe, initialise, train_run
from nas_attn.unet import build_unet

_STEPS = 4
_ATTENTION_SHARE = 1.2
"""A placement of the usual spaces takes about a fifth more time than the plain U-Net."""


def forecast_seconds(resolved: Resolved) -> float:
    """The expected time of one trial, in seconds."""
    settings, device = resolved.settings, torch.device(resolved.settings.devices[0])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        step = _step_seconds(resolved, device)
    finally:
        torch.set_num_threads(threads)
    budget = settings.budget
    judged = resolved.dataset.val.masks.numel() / (budget.batch_size * budget.image_size**2)
    steps = budget.steps + (settings.recipe.recalibration_batches + judged) / 3
    return step * steps * _ATTENTION_SHARE


def _step_seconds(resolved: Resolved, device: torch.device) -> float:
    settings = resolved.settings
    module = build_unet(settings.space.network, settings.space.plain)
    initialise(module, settings.seed)
    sets = pack_sets(resolved.dataset, settings.budget.image_size, device)
    placed = settings.precision.place(module, device)
    recipe: Recipe = replace(settings.recipe, recalibration_batches=0)
    budget: Budget = replace(settings.budget, steps=_STEPS)
    for _ in range(2):  # the first run warms up
        started = time.perf_counter()
        train_run(placed, sets.train, budget, settings.seed, recipe=recipe, precision=settings.precision)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / _STEPS
