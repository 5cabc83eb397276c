"""Workers on one GPU: doubled while that pays, within what memory and cores have room for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.models.network import UNetConfig
from nas_attn.study.workers import worker_count
from nas_attn.study.workers.worker_count import best_number, crowded, workers_per_gpu
from nas_attn.training import Precision
from nas_attn.training.evaluation import DataSource, TrainingEvaluator

NETWORK = UNetConfig(in_channels=3, classes=3, depth=2, base_channels=4)
BUDGET = Budget(steps=2, image_size=16, batch_size=2)


@pytest.mark.parametrize(
    ("rates", "most", "expected"),
    [
        ({1: 10.0, 2: 10.5}, 8, 1),
        ({1: 10.0, 2: 19.0, 4: 20.0}, 8, 2),
        ({1: 10.0, 2: 19.0, 4: 35.0, 8: 60.0}, 8, 8),
        ({1: 10.0, 2: 19.0, 4: 35.0}, 7, 4),
        ({1: 10.0, 2: 0.0}, 8, 1),
        ({1: 10.0}, 1, 1),
    ],
    ids=["no gain", "two", "all", "room for seven", "out of memory", "room for one"],
)
def test_the_number_is_doubled_while_that_brings_a_tenth_more(
    rates: dict[int, float], most: int, expected: int
) -> None:
    assert best_number(lambda workers: rates[workers], most) == expected


def test_what_was_measured_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(worker_count, "_room", lambda *_: 4)
    monkeypatch.setattr(worker_count, "_rate", lambda _, __, workers: asked.append(workers) or float(workers))
    memory = tmp_path / "workers.json"

    given = (NETWORK, BUDGET, Precision(), "cpu")
    assert [workers_per_gpu(*given, memory=memory) for _ in range(2)] == [4, 4]
    assert asked == [1, 2, 4]
    (key,) = json.loads(memory.read_text(encoding="utf-8"))
    assert "float32" in key


def test_a_rate_counts_the_trials_of_all_workers() -> None:
    """A real process that really trains; where one fails there is no rate."""
    evaluator = TrainingEvaluator(NETWORK, DataSource(image_size=16, n_train=4, n_val=2))

    assert worker_count._rate(evaluator, BUDGET, 1) > 0
    assert worker_count._rate(evaluator, Budget(steps=2, image_size=1, batch_size=2), 1) == 0


def test_where_the_images_find_no_room_there_is_no_rate(tmp_path: Path) -> None:
    """With so many workers, that is; a search of fewer goes on."""
    evaluator = TrainingEvaluator(NETWORK, DataSource(), packed=str(tmp_path / "nowhere"))

    assert worker_count._rate(evaluator, BUDGET, 1) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_is_given_a_number_that_it_has_room_for(tmp_path: Path) -> None:
    number = workers_per_gpu(NETWORK, BUDGET, Precision(), "cuda:0", memory=tmp_path / "workers.json")

    assert 1 <= number <= worker_count.MOST


def test_too_many_workers_are_told_how_many_have_room() -> None:
    """64 x 430 MB are 27.52 GB; 0.8 x 16 GB hold 29 x 430 MB = 12.47 GB, and not 30 x 430 MB = 12.9 GB."""
    assert crowded(64, 16_000_000_000) == (
        "64 workers take 27.5 GB of memory before they train, 430 MB each, and this machine has 16.0 GB: it may "
        "end them; --workers 29 or fewer fit"
    )
    assert crowded(29, 16_000_000_000) is None
    assert crowded(30, 16_000_000_000) is not None


@pytest.mark.parametrize(("workers", "memory"), [(64, None), (64, 256_000_000_000), (1, 1_000)])
def test_where_nothing_could_be_better_nothing_is_said(workers: int, memory: int | None) -> None:
    assert crowded(workers, memory) is None
