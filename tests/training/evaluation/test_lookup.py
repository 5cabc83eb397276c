from __future__ import annotations

import itertools
import pickle
import random
import statistics
from dataclasses import replace

import pytest

from nas_attn.budget import Budget
from nas_attn.errors import DivergedError, SpaceError
from nas_attn.models.kind import AttentionKind
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Placement
from nas_attn.record import Outcome
from nas_attn.space import Limits, SearchSpace
from nas_attn.training.evaluation.lookup import HALF_LIFE_STEPS, LookupEvaluator

LONG = Budget(steps=100_000, image_size=64, batch_size=8)
NAMES = ("none", "a", "b", "c")


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    network = UNetConfig(3, 2, depth=2, base_channels=8)
    kinds = tuple(AttentionKind(name, name, "invented") for name in NAMES)
    specs = tuple(AttentionSpec(name) for name in NAMES)
    choices = tuple((location, specs) for location in network.locations)
    return SearchSpace("invented", "", network, 32, 32, choices, Limits(), kinds)


def silent(space: SearchSpace, **options: float) -> LookupEvaluator:
    return LookupEvaluator(space, seed_noise=0, run_noise=0, **options)


def samples(space: SearchSpace, n: int) -> list[Placement]:
    generator = random.Random(0)
    return [space.sample(generator) for _ in range(n)]


def iou(evaluator: LookupEvaluator, placement: Placement, seed: int = 0, budget: Budget = LONG) -> float:
    return evaluator(placement, budget, seed).score.iou


def diverges(evaluator: LookupEvaluator, placement: Placement, seed: int) -> bool:
    try:
        evaluator(placement, LONG, seed)
    except DivergedError:
        return True
    return False


def test_equal_questions_get_equal_outcomes(space: SearchSpace) -> None:
    for placement in samples(space, 5):
        assert LookupEvaluator(space, 3)(placement, LONG, 7) == LookupEvaluator(space, 3)(placement, LONG, 7)


def test_a_copy_sent_to_another_process_answers_the_same(space: SearchSpace) -> None:
    """That other processes with other hashes agree is part of the strategies' contract test."""
    evaluator, placement = LookupEvaluator(space, 3), samples(space, 1)[0]
    assert pickle.loads(pickle.dumps(evaluator))(placement, LONG, 7) == evaluator(placement, LONG, 7)


def test_other_tasks_prefer_other_placements(space: SearchSpace) -> None:
    placements = samples(space, 40)
    best = {max(placements, key=LookupEvaluator(space, seed).truth).id for seed in range(10)}
    assert len(best) > 4


def test_the_plain_network_is_the_base(space: SearchSpace) -> None:
    assert LookupEvaluator(space, base=0.7).truth(space.plain) == 0.7
    assert iou(silent(space, base=0.7), space.plain) == pytest.approx(0.7)


def test_without_interactions_every_attention_adds_its_own_effect(space: SearchSpace) -> None:
    evaluator = LookupEvaluator(space, interaction_share=0)
    for placement in samples(space, 10):
        effects = [
            evaluator.truth(space.plain.replace(location, kind)) - evaluator.base for location, kind in placement
        ]
        assert evaluator.truth(placement) == pytest.approx(evaluator.base + sum(effects))


def test_interactions_are_of_pairs_and_of_no_more(space: SearchSpace) -> None:
    """Inclusion and exclusion: with pairs only, three attentions are worth their pairs less their singles."""
    evaluator = LookupEvaluator(space, interaction_share=0.5)

    def worth(*changes) -> float:
        placement = space.plain
        for location, kind in changes:
            placement = placement.replace(location, kind)
        return evaluator.truth(placement) - evaluator.base

    three = [(location, AttentionSpec("b")) for location, _ in space.choices[:3]]
    singles = sum(worth(change) for change in three)
    pairs = sum(worth(*pair) for pair in itertools.combinations(three, 2))
    assert worth(*three) == pytest.approx(pairs - singles)
    assert abs(worth(*three) - singles) > 1e-4


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_the_truth_spreads_as_declared(space: SearchSpace, share: float) -> None:
    """Over tasks, the truth of a placement that attends everywhere is normal with the declared deviation."""
    placement = Placement(tuple((location, AttentionSpec("c")) for location, _ in space.choices))
    truths = [
        LookupEvaluator(space, seed, spread=0.02, interaction_share=share).truth(placement) for seed in range(300)
    ]
    assert statistics.stdev(truths) == pytest.approx(0.02, rel=0.15)
    assert statistics.fmean(truths) == pytest.approx(0.65, abs=0.005)


def test_pairing_seeds_cuts_the_variance_of_a_difference(space: SearchSpace) -> None:
    evaluator = LookupEvaluator(space)
    one, other = samples(space, 2)
    paired = [iou(evaluator, one, seed) - iou(evaluator, other, seed) for seed in range(400)]
    unpaired = [iou(evaluator, one, seed) - iou(evaluator, other, seed + 1000) for seed in range(400)]
    assert statistics.variance(paired) / statistics.variance(unpaired) == pytest.approx(0.36, abs=0.09)


def test_the_noise_of_a_seed_that_all_share_cancels(space: SearchSpace) -> None:
    evaluator = LookupEvaluator(space, run_noise=0)
    one, other = samples(space, 2)
    differences = {round(iou(evaluator, one, seed) - iou(evaluator, other, seed), 12) for seed in range(10)}
    assert len(differences) == 1
    assert len({iou(evaluator, one, seed) for seed in range(10)}) == 10


def test_the_shortfall_halves_at_each_half_life(space: SearchSpace) -> None:
    evaluator = silent(space)
    for placement in samples(space, 5):
        lacks = [
            evaluator.truth(placement) - iou(evaluator, placement, budget=replace(LONG, steps=HALF_LIFE_STEPS * n))
            for n in (1, 2, 3)
        ]
        assert lacks[0] == pytest.approx(2 * lacks[1]) == pytest.approx(4 * lacks[2])
        assert lacks[0] >= 0.3 / 2 - 1e-9


def test_short_runs_rank_placements_otherwise_than_converged_ones(space: SearchSpace) -> None:
    evaluator, placements = silent(space), samples(space, 50)
    short = sorted(placements, key=lambda placement: iou(evaluator, placement, budget=replace(LONG, steps=30)))
    assert short != sorted(placements, key=lambda placement: iou(evaluator, placement))


def test_the_cost_of_a_placement_is_the_sum_of_what_its_attentions_add(space: SearchSpace) -> None:
    evaluator = LookupEvaluator(space)
    plain = evaluator.cost(space.plain)
    for placement in samples(space, 10):
        single = [evaluator.cost(space.plain.replace(*pair)) for pair in placement]
        cost = evaluator.cost(placement)
        assert cost.macs - plain.macs == sum(one.macs - plain.macs for one in single)
        assert cost.parameters - plain.parameters == sum(one.parameters - plain.parameters for one in single)
        assert cost.macs > plain.macs


def test_the_outcome_carries_the_cost_and_a_falling_curve_up_to_the_budget(space: SearchSpace) -> None:
    placement = samples(space, 1)[0]
    outcome = LookupEvaluator(space)(placement, Budget(400, 64, 8), 0)
    assert outcome.cost == LookupEvaluator(space).cost(placement)
    assert [point.step for point in outcome.curve] == [100, 200, 300, 400]
    losses = [point.loss for point in outcome.curve]
    assert losses == sorted(losses, reverse=True)
    assert Outcome.from_dict(outcome.to_dict()) == outcome


def test_the_iou_is_the_mean_of_its_classes_and_stays_between_0_and_1(space: SearchSpace) -> None:
    for base in (-1.0, 0.5, 2.0):
        score = LookupEvaluator(space, base=base)(space.plain, LONG, 0).score
        assert len(score.iou_per_class) == 2
        assert score.iou == statistics.fmean(score.iou_per_class)
        assert all(0 <= value <= 1 for value in score.iou_per_class)


def test_a_share_of_the_placements_diverges_always_but_never_the_plain_network(space: SearchSpace) -> None:
    evaluator = LookupEvaluator(space, failure_share=0.25)
    failed = {
        (placement, seed)
        for placement, seed in itertools.product(set(samples(space, 200)), (0, 1))
        if diverges(evaluator, placement, seed)
    }
    assert len(failed) / 400 == pytest.approx(0.25, abs=0.1)
    assert {(placement, 1 - seed) for placement, seed in failed} == failed
    always = LookupEvaluator(space, failure_share=1)
    always(space.plain, LONG, 0)
    other = space.plain.replace(space.locations[0], AttentionSpec("a"))
    with pytest.raises(DivergedError, match=rf"the loss of placement {other.id} became nan at step 50000"):
        always(other, LONG, 0)


def test_a_placement_of_another_network_is_refused(space: SearchSpace) -> None:
    smaller = Placement(space.plain.specs[:-1])
    with pytest.raises(
        SpaceError, match=r"placement \w{10} is for the locations .*; the network has .*decoder\.1"
    ):
        LookupEvaluator(space)(smaller, LONG, 0)


def warm(steps: int) -> Budget:
    return Budget(steps=steps, image_size=64, batch_size=8, pretraining=900)


def test_what_attentions_do_to_trained_weights_heals_and_has_no_seed(space: SearchSpace) -> None:
    evaluator = silent(space, disturbance=0.05, gap=0)
    for placement in samples(space, 5):
        early, late = (
            iou(evaluator, placement, budget=warm(steps)) - evaluator.truth(placement)
            for steps in (60, 60 + HALF_LIFE_STEPS)
        )
        assert early == pytest.approx(2 * late)
        assert abs(early) > 1e-4
        assert iou(evaluator, placement, 7, warm(60)) == iou(evaluator, placement, 0, warm(60))
        assert iou(evaluator, placement, budget=Budget(960, 64, 8)) == pytest.approx(evaluator.truth(placement))


def test_runs_from_trained_weights_have_luck_of_their_own_and_less_of_it(space: SearchSpace) -> None:
    evaluator = LookupEvaluator(space, seed_noise=0, run_noise=0.01, luck=0.01, quiet=0.3, gap=0)
    placement = samples(space, 1)[0]
    full, short = ([iou(evaluator, placement, seed, budget) for seed in range(400)] for budget in (LONG, warm(60)))
    assert statistics.stdev(short) / statistics.stdev(full) == pytest.approx(0.3, rel=0.12)
    assert abs(statistics.correlation(full, short)) < 0.15
