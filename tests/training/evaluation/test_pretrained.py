"""A short run that starts from the weights of the trained plain U-Net."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from nas_attn.budget import Budget
from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.training import (
    Precision,
    Recipe,
    Segmenter,
    initialise,
    score_images,
    start_at_frequencies,
    train_run,
)
from nas_attn.training.evaluation import DataSource, TrainingEvaluator, pack_sets, write_sets
from nas_attn.training.evaluation.pretrained import kept_weights, start_from

NETWORK = UNetConfig(in_channels=3, classes=3, depth=2, base_channels=4)
LONG = Budget(steps=4, image_size=16, batch_size=2)
SHORT = replace(LONG, steps=2, pretraining=4)
SE = NETWORK.plain.replace(Location.parse("decoder.0"), AttentionSpec("se"))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def evaluator() -> TrainingEvaluator:
    return TrainingEvaluator(NETWORK, DataSource(image_size=16, n_train=6, n_val=4))


def test_it_is_a_gentle_run_from_the_plain_unets_weights(evaluator: TrainingEvaluator) -> None:
    """By hand: train the plain U-Net, put its weights under the attention, train on at a quarter of the rate."""
    cpu, recipe = torch.device("cpu"), Recipe()
    sets = pack_sets(evaluator.dataset, cpu)
    plain, attended = (build_unet(NETWORK, placement) for placement in (NETWORK.plain, SE))
    initialise(plain, 5)
    start_at_frequencies(plain, *sets.train.class_counts)
    train_run(plain, sets.train, LONG, 5, recipe=recipe, precision=Precision())
    initialise(attended, 5)
    attended.load_state_dict(plain.state_dict(), strict=False)
    gentle = replace(recipe, peak_learning_rate=recipe.peak_learning_rate / 4)
    train_run(attended, sets.train, replace(LONG, steps=2), 5, recipe=gentle, precision=Precision())

    assert evaluator(SE, SHORT, 5).score == score_images(
        Segmenter(attended, sets.val.mean, sets.val.std), sets.val, 3
    )


def test_workers_of_a_machine_share_one_run_of_the_plain_unet(
    evaluator: TrainingEvaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = evaluator(SE, SHORT, 0).score
    packed = str(write_sets(evaluator.dataset, tmp_path))
    first, second = (replace(evaluator, packed=packed) for _ in range(2))
    assert first(SE, SHORT, 0).score == apart
    monkeypatch.setattr(
        "nas_attn.training.evaluation.evaluator.kept_weights", lambda path, train: kept_weights(path, None)
    )

    assert second(SE, SHORT, 0).score == apart, "who trained the baseline again, would have failed"


def test_what_another_network_or_seed_has_left_is_not_taken(evaluator: TrainingEvaluator, tmp_path: Path) -> None:
    """The images of a study stay where they are when a new one of its name has other sizes."""
    packed = str(write_sets(evaluator.dataset, tmp_path))
    wider = replace(evaluator, network=replace(NETWORK, base_channels=8))
    placement = wider.network.plain.replace(Location.parse("decoder.0"), AttentionSpec("se"))
    replace(evaluator, packed=packed)(SE, SHORT, 0)

    assert replace(wider, packed=packed)(placement, SHORT, 0).score == wider(placement, SHORT, 0).score
    assert replace(evaluator, packed=packed)(SE, SHORT, 1).score == evaluator(SE, SHORT, 1).score


def test_weights_of_another_shape_are_left_as_they_are() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    before = module[1].weight.detach().clone()
    start_from(
        module, {"0.weight": torch.full((2, 2), 7.0), "1.weight": torch.zeros(9, 9), "2.bias": torch.ones(1)}
    )

    assert torch.equal(module[0].weight, torch.full((2, 2), 7.0))
    assert torch.equal(module[1].weight, before)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), SafetensorError("IoError(No space left)")], ids=["os", "own"]
)
def test_weights_are_given_where_the_disk_has_no_room_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr("nas_attn.training.evaluation.pretrained.save_file", full)
    weights = kept_weights(tmp_path / "plain.safetensors", lambda: nn.Linear(1, 1))

    assert set(weights) == {"weight", "bias"}
    assert [path.name for path in tmp_path.iterdir() if "lock" not in path.name] == []
