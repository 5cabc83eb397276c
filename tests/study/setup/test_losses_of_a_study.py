"""The loss, the class weights and the crops are what makes a study that study; unasked they are said nowhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nas_attn.config.settings import StudyRequest
from nas_attn.strategy.settings import differences
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import resolve
from nas_attn.training import Recipe

ASK = StudyRequest(space="unet_attention_small", device="cpu", workers=1, precision="float32")


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))


def identity(**asked: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(resolve(replace(ASK, **asked)).settings.identity()))
    return found


def test_what_nobody_asked_for_is_not_said_so_that_older_studies_go_on() -> None:
    assert set(identity()["recipe"]) == {
        "peak_learning_rate", "weight_decay", "momentum", "warm_up", "clip_norm", "brightness", "contrast",
        "recalibration_batches", "class_prior", "encoder_share", "optimiser",
    }  # fmt: skip


def test_a_study_that_was_trained_by_adamw_alone_is_another_study() -> None:
    before = identity()
    del before["recipe"]["optimiser"]

    assert [str(one) for one in differences(before, identity())] == ["recipe.optimiser was adamw and is now muon"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"loss": "tversky"}, "recipe.loss was ce+dice and is now tversky"),
        ({"class_weights": "1,2,3"}, "recipe.class_weights was [] and is now [1.0, 2.0, 3.0]"),
        ({"foreground": 0.33}, "recipe.foreground was 0.0 and is now 0.33"),
    ],
    ids=["loss", "weights", "crops"],
)
def test_another_loss_is_another_study(asked: dict[str, Any], told: str) -> None:
    classes = len(resolve(ASK).dataset.classes)
    if "class_weights" in asked:
        assert classes == 3

    assert [str(one) for one in differences(identity(), identity(**asked))] == [told]
    assert differences(identity(**asked), identity(**asked)) == []


def test_every_worker_trains_as_the_study_says() -> None:
    resolved = resolve(replace(ASK, loss="focal", class_weights="auto", foreground=0.5))
    recipe = resolved.evaluators()[0].recipe

    assert recipe == replace(Recipe(), loss="focal", class_weights=recipe.class_weights, foreground=0.5)
    assert len(recipe.class_weights) == 3
    assert recipe.after_pretraining.loss == "focal"
