"""The precision: float32 unless another clearly wins, measured once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.config.settings import PRECISIONS as NAMES
from nas_attn.config.settings import StudyRequest
from nas_attn.models.network import UNetConfig
from nas_attn.study.setup import calibrate, preset
from nas_attn.study.setup.calibrate import fastest_precision, step_seconds
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import resolve
from nas_attn.training import Precision
from nas_attn.training.precision import PRECISIONS

CPU = torch.device("cpu")
NETWORK = UNetConfig(in_channels=3, classes=2, depth=2, base_channels=4)
BUDGET = Budget(steps=100, image_size=16, batch_size=2)
LAST, FIRST, HALF_LAST, HALF = PRECISIONS


def test_requests_know_the_same_names_as_training() -> None:
    assert tuple(map(str, PRECISIONS)) == NAMES
    assert [Precision.parse(name) for name in NAMES] == list(PRECISIONS)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((1.0, 1.0, 1.0, 1.0), LAST),
        ((1.0, 0.95, 0.9, 0.9), LAST),
        ((1.0, 0.85, 2.0, 2.0), FIRST),
        ((1.0, 0.85, 0.75, 0.8), FIRST),
        ((1.0, 1.0, 0.5, 0.6), HALF_LAST),
        ((1.0, 1.0, 0.6, 0.4), HALF),
    ],
)
def test_another_precision_has_to_win_clearly(
    seconds: tuple[float, ...], expected: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = dict(zip(PRECISIONS, seconds, strict=True))
    monkeypatch.setattr(
        calibrate, "step_seconds", lambda network, budget, device, precision, hopeless=0: table[precision]
    )

    assert fastest_precision(NETWORK, BUDGET, CPU, memory=tmp_path / "memory.json") == expected


def test_what_was_measured_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "cache" / "precision.json"
    first = fastest_precision(NETWORK, BUDGET, CPU, memory=memory)
    (key,) = json.loads(memory.read_text(encoding="utf-8"))
    assert "1 thread" in key
    assert torch.__version__ in key

    def forbidden(*_: object, **__: object) -> float:
        raise AssertionError("measured again")

    monkeypatch.setattr(calibrate, "step_seconds", forbidden)
    assert fastest_precision(NETWORK, BUDGET, CPU, memory=memory) == first
    with pytest.raises(AssertionError, match="measured again"):
        fastest_precision(NETWORK, Budget(steps=100, image_size=32, batch_size=2), CPU, memory=memory)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"other": "float128"}'])
def test_a_memory_that_says_nothing_is_replaced(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory.json"
    memory.write_text(text, encoding="utf-8")
    monkeypatch.setattr(calibrate, "step_seconds", lambda *_, **__: 1.0)

    assert fastest_precision(NETWORK, BUDGET, CPU, memory=memory) == LAST
    assert list(json.loads(memory.read_text(encoding="utf-8")).values()) == [str(LAST)]


def test_a_memory_that_cannot_be_written_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setattr(calibrate, "step_seconds", lambda *_, **__: 1.0)

    assert fastest_precision(NETWORK, BUDGET, CPU, memory=tmp_path / "file" / "memory.json") == LAST


def test_measuring_leaves_the_random_stream_and_the_threads_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    threads = torch.get_num_threads()
    fastest_precision(NETWORK, BUDGET, CPU, memory=tmp_path / "memory.json")

    assert torch.get_num_threads() == threads
    assert torch.equal(torch.rand(2), expected)


def test_a_hopeless_precision_is_given_up_after_its_second_step(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    step = calibrate.TrainingStep.__call__
    monkeypatch.setattr(calibrate.TrainingStep, "__call__", lambda self: (calls.append(1), step(self))[1])

    assert step_seconds(NETWORK, BUDGET, CPU, LAST, hopeless=0.0) > 0
    assert len(calls) == 2


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

    monkeypatch.setattr(calibrate, "step_seconds", step_seconds)

    # 100 steps, and without gradients 2 batches of validation images and those that recalibrate BatchNorm
    batches = resolved.settings.recipe.recalibration_batches + 2
    assert calibrate.forecast_seconds(resolved) == pytest.approx(1.2 * 0.5 * (100 + batches / 3))
    settings = resolved.settings
    assert asked == [(settings.space.network, settings.budget, torch.device("cpu"), settings.precision, 1)]
