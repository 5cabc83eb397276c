"""Searches of a second: few images, and evaluations in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome
from nas_attn.study import latencies, study_pool
from nas_attn.study.setup import begin, preset
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.metrics import latency

TINY = {
    "space": "unet_attention_small",
    "base_channels": 4,
    "image_size": 16,
    "batch_size": 2,
    "steps": 2,
    "device": "cpu",
    "workers": 1,
}


def time_briefly(patch: pytest.MonkeyPatch) -> None:
    """Let latencies be timed as briefly as can be, where their values do not matter."""
    patch.setattr(latencies, "SECONDS", 0.0)
    patch.setattr(begin, "LATENCY_SECONDS", 0.0)
    patch.setattr(latency, "LEAST_ROUNDS", 2)


def search_here(
    patch: pytest.MonkeyPatch, *, n_train: int = 8, n_val: int = 4, name: str = "CPU_SYNTHETIC"
) -> None:
    """Let searches take few of the images that are built in, and start no processes.

    Args:
        patch: of the test.
        n_train: training images.
        n_val: validation images.
        name: of the preset that is searched by.
    """
    time_briefly(patch)
    patch.setattr(preset, name, replace(getattr(preset, name), n_train=n_train, n_val=n_val))
    patch.setattr(
        study_pool,
        "ProcessPool",
        lambda evaluators, logs, **_: contextlib.nullcontext(InlinePool(evaluators[0], len(evaluators))),
    )


def evaluate_by(patch: pytest.MonkeyPatch, judge: Callable[[Placement, Budget, int], Outcome]) -> None:
    """Let whatever runs be judged here, one after the other, instead of trained.

    Args:
        patch: of the test.
        judge: what a placement with a seed gives.
    """
    patch.setattr(
        study_pool, "ProcessPool", lambda evaluators, logs, **_: contextlib.nullcontext(InlinePool(judge))
    )
