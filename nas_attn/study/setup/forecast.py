"""How long a trial will take, found out by a few steps of the plain U-Net."""

from __future__ import annotations

import torch

from nas_attn.steps import step
from nas_attn.study.setup.calibrate import step_seconds
from nas_attn.study.setup.resolve import Resolved, judged_images
from nas_attn.training.metrics import one_thread

_ATTENTION_SHARE = 1.2
"""A placement of the usual spaces takes about a fifth more time than the plain U-Net."""


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
