"""The race: seeds go where they separate the leaders."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

import pytest

from nas_attn.budget import Budget
from nas_attn.evaluate import LookupEvaluator
from nas_attn.placement import Placement
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.study.schedule.finalists import _neediest, _shares, next_finalist

BUDGET = Budget(400, 32, 8)


def run(number: int, placement: Placement, seed: int, iou: float) -> TrialRecord:
    outcome = Outcome(Score(iou, (iou,), 0.1), Cost(10, 1000 + len(placement.attended)), (), 1.0)
    return TrialRecord(number, placement, BUDGET, seed, Role.PROPOSAL, State.COMPLETE, outcome=outcome)


def race(
    truth: Mapping[Placement, float],
    space: SearchSpace,
    n_trials: int,
    noise: float,
    screening: tuple[int, ...] = (0,),
) -> list[TrialRecord]:
    """All placements with the screening seeds in turn and the plain U-Net with each, then the race; noise is a
    function of placement and seed."""

    def score(placement: Placement, seed: int) -> float:
        return truth[placement] + 0.05 * seed + random.Random(f"{placement.id} {seed}").gauss(0, noise)

    plain = space.plain
    turns = [(plain, seed) for seed in screening]
    others = [placement for placement in truth if placement != plain]
    turns += [(placement, screening[number % len(screening)]) for number, placement in enumerate(others)]
    records = [run(number, *turn, score(*turn)) for number, turn in enumerate(turns)]
    for _ in range(n_trials):
        one = next_finalist(
            records,
            (),
            seen=records,
            space=space,
            ladder=(BUDGET,),
            screening=screening,
            cost="macs",
            n_finalist_trials=n_trials,
        )
        records.append(run(len(records), one.placement, one.seed, score(one.placement, one.seed)))
    return records[len(turns) :]


def drawn_truth(plain: Placement, others: Sequence[Placement]) -> Mapping[Placement, float]:
    """The plain U-Net in the middle of the others."""
    draw = random.Random(1)
    return {plain: 0.60} | {placement: 0.60 + draw.gauss(0, 0.01) for placement in others}


@pytest.fixture
def tasks(space: SearchSpace) -> tuple[Placement, list[Placement]]:
    """Too few placements for a model of effects, which would expect the same of those that share attentions."""
    others = [placement for placement in space.placements() if placement != space.plain]
    return space.plain, others[:14]


def test_shares_are_those_of_chen_et_al() -> None:
    """With distances 1 and 2 behind the best: in the ratio 4 to 1, and the best the root of 4^2 + 1^2."""
    best, near, far = _shares([0.60, 0.59, 0.58], 1e-9)
    assert near / far == pytest.approx(4)
    assert best / far == pytest.approx((4**2 + 1) ** 0.5)
    assert best + near + far == pytest.approx(1)


def test_two_equals_do_not_take_all_runs() -> None:
    assert min(_shares([0.6, 0.6, 0.59], 0.01**2)) > 0.03


def test_who_has_fewer_than_two_runs_comes_first() -> None:
    assert _neediest([5, 1, 2], [0.6, 0.5, 0.59], 1e-6) == 1
    assert _neediest([5, 2, 2], [0.6, 0.5, 0.59], 1e-6) == 2


def test_a_close_rival_gets_more_seeds_than_a_distant_one(
    space: SearchSpace, tasks: tuple[Placement, list[Placement]]
) -> None:
    plain, others = tasks
    truth = {plain: 0.60} | dict.fromkeys(others, 0.58)
    truth |= {others[0]: 0.640, others[1]: 0.637, others[2]: 0.620, others[3]: 0.618}
    counts = Counter(record.placement for record in race(truth, space, 36, 0.002))
    assert min(counts[others[0]], counts[others[1]]) > max(counts[others[2]], counts[others[3]])


def test_who_is_surely_worse_loses_its_place_to_the_next(
    space: SearchSpace, tasks: tuple[Placement, list[Placement]]
) -> None:
    """With so little noise every rival is decided after two runs, so many of them get a second one."""
    plain, others = tasks
    truth = {plain: 0.60} | {placement: 0.62 - 0.002 * rank for rank, placement in enumerate(others)}
    raced = {record.placement for record in race(truth, space, 30, 0.0008)}
    assert len(raced) > 30 // 5


def test_every_run_of_the_race_can_be_paired_with_the_plain_u_net(
    space: SearchSpace, tasks: tuple[Placement, list[Placement]]
) -> None:
    plain, others = tasks
    truth = drawn_truth(plain, others)
    ran: set[int] = {0}
    for record in race(truth, space, 40, 0.005):
        if record.placement == plain:
            ran.add(record.seed)
        assert record.seed in ran


def test_no_run_of_the_race_has_a_seed_that_any_placement_was_screened_with(
    space: SearchSpace, tasks: tuple[Placement, list[Placement]]
) -> None:
    """What a seed brings to an attention has had its say in the choice, whichever placement it was seen in."""
    plain, others = tasks
    truth = drawn_truth(plain, others)
    found = race(truth, space, 40, 0.005, screening=(3, 4, 5))
    assert {record.seed for record in found if record.placement == plain} == {record.seed for record in found}
    assert min(record.seed for record in found) == 6
    assert min(Counter(record.placement for record in found).values()) >= 1


def test_leaders_are_those_that_all_runs_together_speak_for(space: SearchSpace) -> None:
    """With noise as large as the spread the highest of a hundred single runs are lucky ones; what the placements'
    attentions show in all runs says more. Mean truth over ten tasks, above that of the highest runs."""
    gains = []
    for number in range(10):
        task = LookupEvaluator(space, number, spread=0.01, interaction_share=0.2, run_noise=0.01)
        draw = random.Random(number)
        truth = {placement: task.truth(placement) for placement in (space.plain, *_distinct(space, draw, 100))}
        found = race(truth, space, 40, 0.01)
        raced = {record.placement for record in found if record.placement != space.plain}
        first = {placement: _first_run(truth, placement, 0.01) for placement in truth if placement != space.plain}
        lucky = sorted(first, key=lambda placement: -first[placement])[: len(raced)]
        gains.append(fmean(truth[one] for one in raced) - fmean(truth[one] for one in lucky))
    assert fmean(gains) > 0.001
    assert sum(gain > 0 for gain in gains) >= 8


def _distinct(space: SearchSpace, draw: random.Random, number: int) -> list[Placement]:
    found: dict[Placement, None] = {}
    while len(found) < number:
        found[space.sample(draw)] = None
    return [placement for placement in found if placement != space.plain]


def _first_run(truth: Mapping[Placement, float], placement: Placement, noise: float) -> float:
    return truth[placement] + random.Random(f"{placement.id} 0").gauss(0, noise)
