"""An evaluation by training, as a function and as something that is sent to a worker."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch

from nas_attn.budget import Budget
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.record import Outcome
from nas_attn.training.evaluation import CostTable, DataSource, TrainingEvaluator

NETWORK = UNetConfig(in_channels=3, classes=3, depth=2, base_channels=4)
BUDGET = Budget(steps=3, image_size=16, batch_size=2)
SE = NETWORK.plain.replace(Location.parse("decoder.0"), AttentionSpec("se"))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def evaluator() -> TrainingEvaluator:
    return TrainingEvaluator(NETWORK, DataSource(image_size=16, n_train=6, n_val=4))


@pytest.fixture(scope="module")
def outcome(evaluator: TrainingEvaluator) -> Outcome:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    found = evaluator(SE, BUDGET, 0)
    torch.set_num_threads(before)
    return found


def timeless(outcome: Outcome) -> Outcome:
    return replace(outcome, seconds=0.0, cost=replace(outcome.cost, latency_ms=None))


def test_an_outcome_is_repeatable_but_for_its_times(evaluator: TrainingEvaluator, outcome: Outcome) -> None:
    evaluator(NETWORK.plain, BUDGET, 7)  # what was evaluated in between has no say

    assert timeless(evaluator(SE, BUDGET, 0)) == timeless(outcome)


def test_an_evaluator_that_was_sent_gives_the_same(evaluator: TrainingEvaluator, outcome: Outcome) -> None:
    sent = pickle.dumps(evaluator)

    assert len(sent) < 5000, "the data are not sent with it"
    assert timeless(pickle.loads(sent)(SE, BUDGET, 0)) == timeless(outcome)


def test_an_outcome_survives_its_journey_and_json(outcome: Outcome) -> None:
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    assert Outcome.from_dict(outcome.to_dict()) == outcome


def test_costs_are_those_of_the_table_and_the_measured_ones_are_there(outcome: Outcome) -> None:
    expected = CostTable(NETWORK, 16, 16)(SE)

    assert (outcome.cost.parameters, outcome.cost.macs) == (expected.parameters, expected.macs)
    assert (outcome.cost.latency_ms or 0) > 0
    assert (outcome.cost.peak_memory_mib or 0) > 0
    assert outcome.cost.device.startswith("cpu: ")
    assert outcome.seconds > 0


def test_costs_can_be_those_of_another_size(evaluator: TrainingEvaluator) -> None:
    other = replace(evaluator, cost_size=(24, 32))
    expected = CostTable(NETWORK, 24, 32)(NETWORK.plain)

    assert other(NETWORK.plain, replace(BUDGET, steps=1), 0).cost.macs == expected.macs


def test_the_score_has_a_value_for_each_class(outcome: Outcome) -> None:
    assert len(outcome.score.iou_per_class) == 3
    known = [iou for iou in outcome.score.iou_per_class if iou is not None]
    assert outcome.score.iou == pytest.approx(sum(known) / len(known))
    assert outcome.curve[-1].step == 3


def test_the_seed_is_that_of_the_run(evaluator: TrainingEvaluator, outcome: Outcome) -> None:
    assert evaluator(SE, BUDGET, 1).curve != outcome.curve


def test_more_memory_is_counted_for_a_larger_batch(evaluator: TrainingEvaluator) -> None:
    small, large = (
        evaluator(NETWORK.plain, Budget(1, 16, batch_size), 0).cost.peak_memory_mib or 0 for batch_size in (2, 8)
    )

    assert small < large


def test_the_built_in_data_are_made_once_and_alike() -> None:
    source = DataSource(image_size=16, n_train=3, n_val=2)
    one, other = source.load(), source.load()

    assert (len(one.train), len(one.val), len(one.test)) == (3, 2, 2)
    assert one.fingerprint == other.fingerprint
    assert one.train.pixels.shape[-2:] == (16, 16)


def test_a_placement_is_a_placement_of_the_network(evaluator: TrainingEvaluator) -> None:
    from nas_attn.errors import SpaceError

    with pytest.raises(SpaceError, match=r"decoder\.1: missing from the placement"):
        evaluator(Placement(NETWORK.plain.specs[:-1]), BUDGET, 0)


def test_a_network_trained_again_is_the_one_that_was_judged(
    evaluator: TrainingEvaluator, outcome: Outcome
) -> None:
    network = evaluator.trained(SE, BUDGET, 0)
    other = evaluator.trained(SE, BUDGET, 1)

    assert not network.training
    assert evaluator.score(network) == outcome.score
    assert evaluator.score(other).loss != outcome.score.loss
