"""An evaluation over folds: each image is judged by the network that has not seen it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.data import Dataset, fold_dataset, folds_of
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.training import segment_images
from nas_attn.training.evaluation import DataSource, TrainingEvaluator, write_sets

STILL = DataSource(image_size=16, n_train=5, n_val=3)
CLIPS = DataSource(image_size=16, n_train=3, n_val=2, task="clips")
BUDGET = Budget(6, 16, 2)

pytestmark = pytest.mark.usefixtures("one_thread")


def network(source: DataSource, frames: int) -> UNetConfig:
    data = source.load()
    return UNetConfig(data.in_channels, len(data.classes), depth=2, base_channels=4, frames=frames)


def placed(config: UNetConfig) -> Placement:
    return config.plain.replace(Location.parse("skip.0"), AttentionSpec("se"))


def alone(config: UNetConfig, source: DataSource, data: Dataset) -> TrainingEvaluator:
    """Who knows one fold only, as a data set of its own."""
    found = TrainingEvaluator(config, source)
    found.__dict__["dataset"] = data
    return found


def predictions(evaluator: TrainingEvaluator, budget: Budget) -> dict[str, np.ndarray]:
    """The labels of each image of a fold, by name."""
    module = evaluator.trained(placed(evaluator.network), budget, 3)
    names = evaluator.dataset.val.names
    return {
        names[number]: logits.argmax(0).numpy()
        for found in segment_images(evaluator.segmenter(module), evaluator.validation)
        for number, logits in zip(found.numbers.tolist(), found.logits, strict=True)
    }


def mean_iou(data: Dataset, found: dict[str, np.ndarray]) -> float:
    """Of all images of train and val together, in NumPy."""
    truth = {
        name: part.mask(index).numpy() for part in (data.train, data.val) for index, name in enumerate(part.names)
    }
    assert truth.keys() == found.keys()
    true, said = (np.concatenate([held[name].ravel() for name in truth]) for held in (truth, found))
    said, true = said[true != 255], true[true != 255]
    ious = [
        ((said == k) & (true == k)).sum() / ((said == k) | (true == k)).sum()
        for k in range(len(data.classes))
        if (true == k).any()
    ]
    return float(np.mean(ious))


def hits_of_units(data: Dataset, truth: dict[str, torch.Tensor], found: dict[str, np.ndarray]) -> list[int]:
    """Rightly predicted pixels of each image, or clip, of train and then of val."""
    hits = [
        int((truth[name].numpy() == found[name]).sum()) for part in (data.train, data.val) for name in part.names
    ]
    lengths = (*data.train.clips, *data.val.clips) or (1,) * len(hits)
    ends = np.cumsum(lengths)
    return [sum(hits[end - length : end]) for length, end in zip(lengths, ends, strict=True)]


@pytest.mark.parametrize(
    ("source", "frames", "number"),
    [pytest.param(STILL, 1, 3, id="still"), pytest.param(CLIPS, 2, 2, id="clips")],
)
@pytest.mark.parametrize("pretraining", [None, 5], ids=["from scratch", "from the plain network"])
@pytest.mark.parametrize("in_files", [False, True], ids=["in memory", "in files"])
def test_the_score_is_that_of_all_images_each_judged_by_the_network_that_has_not_seen_it(
    source: DataSource, frames: int, number: int, pretraining: int | None, in_files: bool, tmp_path: Path
) -> None:
    config, data = network(source, frames), source.load()
    budget = BUDGET if pretraining is None else Budget(6, 16, 2, pretraining=pretraining)
    folds = folds_of(data, number)
    packed = str(write_sets(data, tmp_path / "packed", frames)) if in_files else None
    outcome = TrainingEvaluator(config, source, folds=folds, packed=packed)(placed(config), budget, 3)
    by_hand: dict[str, np.ndarray] = {}
    for fold in range(number):
        by_hand |= predictions(alone(config, source, fold_dataset(data, folds, fold)), budget)

    assert outcome.score.iou == pytest.approx(mean_iou(data, by_hand), abs=1e-12)
    assert outcome.score.counts is not None
    n_units = len(folds)
    assert outcome.score.counts.groups == n_units
    intersections, unions = outcome.score.counts.unpack()
    truth = {name: part.mask(n) for part in (data.train, data.val) for n, name in enumerate(part.names)}
    assert intersections.sum(1).tolist() == hits_of_units(data, truth, by_hand)
    ious = intersections.sum(0) / unions.sum(0).clip(min=1)
    assert ious[unions.sum(0) > 0].mean() == pytest.approx(outcome.score.iou)


def test_losses_are_the_mean_over_folds() -> None:
    config, data = network(STILL, 1), STILL.load()
    folds = folds_of(data, 3)
    outcome = TrainingEvaluator(config, STILL, folds=folds)(placed(config), BUDGET, 0)
    apart = [alone(config, STILL, fold_dataset(data, folds, fold))(placed(config), BUDGET, 0) for fold in range(3)]

    losses = np.array([[point.loss for point in one.curve] for one in apart])
    assert [point.loss for point in outcome.curve] == pytest.approx(losses.mean(0).tolist())
    pixels = [sum(of == fold for of in folds) for fold in range(3)]
    assert sorted(pixels) == [2, 3, 3]
    assert outcome.score.loss == pytest.approx(np.average([one.score.loss for one in apart], weights=pixels))


def test_a_run_is_repeated_to_the_last_bit_and_another_seed_is_another_run() -> None:
    config, folds = network(STILL, 1), folds_of(STILL.load(), 3)
    evaluator = TrainingEvaluator(config, STILL, folds=folds)
    first = evaluator(placed(config), BUDGET, 1).score

    assert evaluator(placed(config), BUDGET, 1).score == first
    assert TrainingEvaluator(config, STILL, folds=folds)(placed(config), BUDGET, 1).score == first
    assert evaluator(placed(config), BUDGET, 2).score != first


def test_no_network_sees_an_image_of_its_fold() -> None:
    """Every image is made of one value, which the training batches of its fold must not hold."""
    config, data = network(STILL, 1), STILL.load()
    folds = folds_of(data, 4)
    evaluator = TrainingEvaluator(config, STILL, folds=folds)
    pool = [*data.train.images, *data.val.images]
    for fold, one in enumerate(evaluator.in_folds):
        held = [image for image, of in zip(pool, folds, strict=True) if of == fold]
        trained = [one._sets.train.images_of([number])[0][0] for number in range(len(one._sets.train))]
        judged = [one.validation.images_of([number])[0][0] for number in range(len(one.validation))]
        assert len(trained) + len(judged) == len(pool)
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(judged, held, strict=True))
        assert not any(torch.equal(mine, theirs) for mine in trained for theirs in held)
