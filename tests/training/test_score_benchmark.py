"""The benchmark of scores: its statistics on tables whose truth is known, and its scores of a network."""

from __future__ import annotations

import numpy as np
import pytest
import scores
import torch
from numpy.typing import NDArray
from torch import nn

from nas_attn.budget import Budget
from nas_attn.config.settings import SYNTHETIC
from nas_attn.training.evaluation import TrainingEvaluator
from tests.searching import search_here


def table(placements: NDArray[np.float64], noise: float, seed: int, n_seeds: int = 6) -> NDArray[np.float64]:
    """What placements are worth, with what a seed adds to all, and noise."""
    drawn = np.random.default_rng(seed)
    common = drawn.standard_normal(n_seeds)
    return placements[:, None] + common + noise * drawn.standard_normal((len(placements), n_seeds))


def test_reliability_is_the_share_of_the_variance_between_placements() -> None:
    truth = np.random.default_rng(0).standard_normal(2000)
    assert scores.reliability(table(truth, 1.0, 1)) == pytest.approx(0.5, abs=0.03)
    assert scores.reliability(table(truth, 2.0, 2)) == pytest.approx(0.2, abs=0.03)


def test_a_score_with_half_the_noise_is_worth_four_runs() -> None:
    """One that is exact but of something else is worth none."""
    truth = np.random.default_rng(0).standard_normal(4000)
    iou = table(truth, 2.0, 1)
    assert scores.worth(iou, iou) == pytest.approx(1.0, abs=1e-9)
    assert scores.worth(table(truth, 1.0, 2), iou) == pytest.approx(4.0, rel=0.2)
    other = np.random.default_rng(5).standard_normal(4000)
    assert scores.reliability(table(other, 0.1, 3)) > 0.9
    assert scores.worth(table(other, 0.1, 3), iou) < 0.1


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> tuple[TrainingEvaluator, nn.Module]:
    """Who has trained a network for two steps, and this network."""
    search_here(monkeypatch)
    preset, evaluator = scores._task.__wrapped__(SYNTHETIC)
    budget = Budget(2, preset.image_size, preset.batch_size)
    return evaluator, evaluator.trained(evaluator.network.plain, budget, 0)


def test_what_a_network_says_is_judged_as_the_search_judges_it(
    trained: tuple[TrainingEvaluator, nn.Module],
) -> None:
    evaluator, module = trained
    segmenter, expected = evaluator.segmenter(module), evaluator.score(module)
    found = scores._scores(evaluator, segmenter)
    assert found["IoU"] == pytest.approx(expected.iou, abs=1e-6)
    assert found["loss"] == pytest.approx(-expected.loss, rel=1e-4)

    pairs = [
        (scores._probabilities(segmenter, pixels, scores._TURNS[:1]), masks)
        for pixels, masks in scores._batches(evaluator.validation)
    ]
    assert scores._overlap(pairs, soft=False) == pytest.approx(expected.iou, abs=1e-6)
    certain = [(torch.nn.functional.one_hot(said.argmax(1)).permute(0, 3, 1, 2).float(), of) for said, of in pairs]
    assert scores._overlap(certain, soft=True) == pytest.approx(expected.iou, abs=1e-6)


def test_turned_images_are_answered_alike(trained: tuple[TrainingEvaluator, nn.Module]) -> None:
    evaluator, module = trained
    segmenter = evaluator.segmenter(module)
    pixels, _ = next(scores._batches(evaluator.validation))
    said, turned = (
        scores._probabilities(segmenter, seen, scores._TURNS) for seen in (pixels, torch.rot90(pixels, 1, (2, 3)))
    )
    torch.testing.assert_close(turned, torch.rot90(said, 1, (2, 3)), rtol=1e-3, atol=1e-5)
    assert len({tuple(turn) for turn in scores._TURNS}) == 8
