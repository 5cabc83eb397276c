"""How long a trial is expected to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.config.settings import StudyRequest
from nas_attn.models.network import UNetConfig
from nas_attn.study.setup import forecast, preset
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import resolve
from nas_attn.training import Precision


def test_a_trial_takes_its_steps_and_a_third_of_them_for_each_batch_without_gradients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(preset, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=6))
    resolved = resolve(StudyRequest(steps=100, batch_size=3, image_size=32, device="cpu", workers=1, trials=12))
    asked: list[object] = []

    def step_seconds(network: UNetConfig, budget: Budget, device: torch.device, precision: Precision) -> float:
        asked.append((network, budget, device, precision, torch.get_num_threads()))
        return 0.5

    monkeypatch.setattr(forecast, "step_seconds", step_seconds)

    # 100 steps, and without gradients 2 batches of validation images and those that recalibrate BatchNorm
    batches = resolved.settings.recipe.recalibration_batches + 2
    assert forecast.forecast_seconds(resolved) == pytest.approx(1.2 * 0.5 * (100 + batches / 3))
    settings = resolved.settings
    assert asked == [(settings.space.network, settings.budget, torch.device("cpu"), settings.precision, 1)]
