"""Search and full training are one pipeline: the same settings give the same weights, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from nas_attn.architecture import Architecture
from nas_attn.budget import Budget
from nas_attn.data import Dataset
from nas_attn.losses import LOSSES, loss_problem, loss_text
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import Score
from nas_attn.training import Recipe
from nas_attn.training.evaluation import DataSource, TrainingEvaluator
from nas_attn.training.full import EpochRecord, FitSettings, StepRecord, train
from nas_attn.training.full.result import Announcement

STILL = DataSource(image_size=32, n_train=10, n_val=4)
CLIPS = DataSource(image_size=16, n_train=3, n_val=2, task="clips")


def architecture(data: Dataset, frames: int, **kinds: str) -> Architecture:
    network = UNetConfig(data.in_channels, len(data.classes), depth=2, base_channels=4, frames=frames)
    placement = network.plain
    for place, kind in kinds.items():
        placement = placement.replace(Location.parse(place.replace("_", ".")), AttentionSpec(kind))
    return Architecture(network, placement, data.classes, data.mean, data.std, image_size=16)


def searched(
    one: Architecture, source: DataSource, budget: Budget, seed: int, recipe: Recipe | None = None
) -> tuple[dict[str, torch.Tensor], Score]:
    evaluator = TrainingEvaluator(one.network, source, recipe=recipe or Recipe())
    module = evaluator.trained(one.placement, budget, seed)
    return module.state_dict(), evaluator.score(module)


@pytest.mark.parametrize(
    ("source", "frames", "kinds"),
    [
        pytest.param(STILL, 1, {}, id="plain"),
        pytest.param(STILL, 1, {"skip_0": "gate", "bottleneck": "se"}, id="gate and se"),
        pytest.param(STILL, 1, {"encoder_0": "hard", "skip_1": "encnet", "bottleneck": "dynamic"}, id="hooks"),
        pytest.param(CLIPS, 3, {"encoder_0": "tam"}, id="clips"),
    ],
)
@pytest.mark.parametrize("crop", [16, 40])
def test_one_epoch_of_training_is_a_run_of_a_search(
    source: DataSource, frames: int, kinds: dict[str, str], crop: int, tmp_path: Path
) -> None:
    """Weights, BatchNorm statistics, learning rates, validation score: everything. The crop of 40 is larger than
    the images."""
    data = source.load()
    one = architecture(data, frames, **kinds)
    events: list[Announcement | StepRecord | EpochRecord] = []
    settings = FitSettings(epochs=1, batch_size=4, crop=crop, seed=7, accelerator="cpu")
    train(one, data, settings, tmp_path / "run", report=events.append)
    steps = sum(isinstance(event, StepRecord) for event in events)
    weights, score = searched(one, source, Budget(steps, crop, 4), seed=7)

    written = load_file(tmp_path / "run" / "weights.safetensors")
    assert steps > 1
    assert written.keys() == weights.keys()
    assert [name for name in weights if not torch.equal(written[name], weights[name])] == []
    epoch = events[-1]
    assert isinstance(epoch, EpochRecord)
    assert (epoch.val_iou, epoch.val_loss) == (score.iou, score.loss)


def test_further_epochs_are_further_steps_of_the_same_run(tmp_path: Path) -> None:
    data = STILL.load()
    one = architecture(data, 1, skip_0="gate")
    events: list[Announcement | StepRecord | EpochRecord] = []
    settings = FitSettings(epochs=3, batch_size=4, crop=32, accelerator="cpu")
    train(one, data, settings, tmp_path / "run", report=events.append)
    weights, score = searched(one, STILL, Budget(9, 32, 4), seed=0)

    last = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(last[f"module.{name}"], weight) for name, weight in weights.items())
    epoch = events[-1]
    assert isinstance(epoch, EpochRecord)
    assert (epoch.val_iou, epoch.val_loss) == (score.iou, score.loss)


@pytest.mark.parametrize(
    "recipe",
    [
        *(Recipe(loss=name) for name in LOSSES if loss_problem(name, multi_label=False) is None),
        Recipe(class_weights=(0.5, 1.0, 3.0)),
        Recipe(foreground=0.5),
        Recipe(loss="tversky", class_weights=(0.2, 2.0, 1.0), foreground=1.0),
    ],
    ids=lambda one: loss_text(one.loss, one.class_weights, one.foreground),
)
def test_training_takes_loss_weights_and_crops_as_the_search_does(recipe: Recipe, tmp_path: Path) -> None:
    data = STILL.load()
    one = architecture(data, 1, skip_0="gate")
    weights = ",".join(map(str, recipe.class_weights)) or "none"
    asked = {"loss": recipe.loss, "class_weights": weights, "foreground": recipe.foreground}
    settings = FitSettings(epochs=1, batch_size=4, crop=16, seed=7, accelerator="cpu", **asked)
    events: list[Announcement | StepRecord | EpochRecord] = []
    train(one, data, settings, tmp_path / "run", report=events.append)
    steps = sum(isinstance(event, StepRecord) for event in events)
    searched_weights, score = searched(one, STILL, Budget(steps, 16, 4), 7, recipe)
    usual, _ = searched(one, STILL, Budget(steps, 16, 4), 7)

    written = load_file(tmp_path / "run" / "weights.safetensors")
    assert [name for name in written if not torch.equal(written[name], searched_weights[name])] == []
    same_as_usual = all(torch.equal(written[name], usual[name]) for name in written)
    assert same_as_usual is (recipe == Recipe())
    epoch = events[-1]
    assert isinstance(epoch, EpochRecord)
    assert (epoch.val_iou, epoch.val_loss) == (score.iou, score.loss)
