"""The finals: a fixed field, the same fresh seeds for all."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import pytest

from nas_attn.analysis.detection import n_places
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.finals import FURTHER_SEEDS, LEAST_FIELD, MOST_PLACES, Finals, Screened
from nas_attn.training.evaluation import LookupEvaluator

BUDGET = Budget(400, 32, 8)
Judge = Callable[[Placement, int], float]


def ended(number: int, one: Evaluation, iou: float | None) -> TrialRecord:
    """A trial that has ended; it failed where the IoU is None."""
    cost = Cost(10, 1000 + len(one.placement.attended))
    outcome = None if iou is None else Outcome(Score(iou, (iou,), 0.1), cost, (), 1.0)
    return TrialRecord(
        number=number,
        placement=one.placement,
        budget=one.budget,
        seed=one.seed,
        role=one.role,
        state=State.FAILED if iou is None else State.COMPLETE,
        outcome=outcome,
        failure="it diverged" if iou is None else None,
        memory=one.memory,
    )


def screened(space: SearchSpace, others: Sequence[Placement], judge: Judge) -> list[TrialRecord]:
    """The plain U-Net with seeds 0 to 2, and all others with seed 0."""
    turns = [(space.plain, seed) for seed in range(3)] + [(placement, 0) for placement in others]
    return [
        ended(n, Evaluation(placement, BUDGET, seed, Role.PROPOSAL), judge(placement, seed))
        for n, (placement, seed) in enumerate(turns)
    ]


def following(
    records: Sequence[TrialRecord],
    space: SearchSpace,
    n_trials: int,
    pending: Sequence[TrialRecord] = (),
    *,
    early: bool = False,
    worth: float | None = None,
) -> Evaluation:
    asked = Finals(200, early=early)
    return asked.next(
        records, pending, plain=space.plain, ladder=(BUDGET,), cost="macs", n_trials=n_trials, worth=worth
    )


def finals(
    records: list[TrialRecord],
    space: SearchSpace,
    n_trials: int,
    judge: Judge,
    *,
    early: bool = False,
    worth: float | None = None,
) -> list[TrialRecord]:
    """So many trials of the finals."""
    played = list(records)
    for _ in range(n_trials):
        one = following(played, space, n_trials, early=early, worth=worth)
        played.append(ended(len(played), one, judge(one.placement, one.seed)))
    return played[len(records) :]


def judge_of(truth: Mapping[Placement, float], noise: float = 0.003) -> Judge:
    """Scores that are a function of placement and seed."""

    def judge(placement: Placement, seed: int) -> float:
        own = random.Random(f"{placement.id} {seed}").gauss(0, noise)
        return truth[placement] + random.Random(f"seed {seed}").gauss(0, 0.008) + own

    return judge


@pytest.fixture
def others(space: SearchSpace) -> list[Placement]:
    return [placement for placement in space.placements() if placement != space.plain][:40]


@pytest.fixture
def truth(space: SearchSpace, others: list[Placement]) -> dict[Placement, float]:
    draw = random.Random(1)
    return {space.plain: 0.6} | {placement: 0.6 + draw.gauss(0, 0.005) for placement in others}


def test_every_finalist_and_the_plain_u_net_run_with_the_same_five_fresh_seeds(
    space: SearchSpace, others: list[Placement], truth: dict[Placement, float]
) -> None:
    judge = judge_of(truth)
    played = finals(screened(space, others, judge), space, 50, judge)
    seeds: dict[Placement, list[int]] = {}
    for record in played:
        seeds.setdefault(record.placement, []).append(record.seed)
    assert len(seeds) == MOST_PLACES
    assert {tuple(run) for run in seeds.values()} == {(3, 4, 5, 6, 7)}
    assert all(record.role is Role.FINALIST for record in played)


def test_with_every_seed_the_plain_u_net_runs_first(
    space: SearchSpace, others: list[Placement], truth: dict[Placement, float]
) -> None:
    judge, ran = judge_of(truth), set()
    for record in finals(screened(space, others, judge), space, 50, judge):
        ran |= {record.seed} if record.placement == space.plain else set()
        assert record.seed in ran


def test_the_field_does_not_change_with_what_the_finals_show(
    space: SearchSpace, others: list[Placement], truth: dict[Placement, float]
) -> None:
    """The first finalists turn out to be the worst of all: no other one takes a place."""
    judge = judge_of(truth)
    before = screened(space, others, judge)
    fields = [
        {record.placement for record in finals(before, space, 50, shown)}
        for shown in (judge, lambda placement, seed: 1.2 - judge(placement, seed))
    ]
    assert fields[0] == fields[1]


@pytest.mark.parametrize(("n_trials", "places"), [(2, 2), (9, 2), (12, 2), (20, 4), (50, 10), (400, 10)])
def test_each_place_has_five_seeds(n_trials: int, places: int) -> None:
    assert n_places(n_trials) == places


def test_after_five_seeds_those_go_on_that_are_not_surely_worse(
    space: SearchSpace, others: list[Placement]
) -> None:
    truth = (
        {space.plain: 0.6} | dict.fromkeys(others, 0.58) | dict(zip(others, (0.64, 0.6395, 0.61), strict=False))
    )
    judge = judge_of(truth, noise=0.002)
    counts = Counter(record.placement for record in finals(screened(space, others, judge), space, 70, judge))
    assert counts[space.plain] == max(counts.values()) > FURTHER_SEEDS + 4
    assert min(counts[others[0]], counts[others[1]]) >= counts[space.plain] - 1
    assert counts[others[2]] == FURTHER_SEEDS


def test_a_seed_under_which_the_plain_u_net_collapses_is_replaced(
    space: SearchSpace, others: list[Placement], truth: dict[Placement, float]
) -> None:
    whole = judge_of(truth)

    def judge(placement: Placement, seed: int) -> float:
        return whole(placement, seed) - 0.3 * (seed == 4)

    played = finals(screened(space, others, judge), space, 51, judge)
    seeds = {record.seed for record in played if record.placement == space.plain}
    assert seeds == {3, 4, 5, 6, 7, 8}
    assert sum(record.seed == 4 for record in played) == 1
    assert {tuple(sorted(r.seed for r in played if r.placement == one.placement)) for one in played[1:2]} == {
        (3, 5, 6, 7, 8)
    }


def test_a_finalist_that_fails_leaves_its_place_while_the_field_is_chosen(
    space: SearchSpace, others: list[Placement], truth: dict[Placement, float]
) -> None:
    judge = judge_of(truth)
    records = screened(space, others, judge)
    first = finals(records, space, 2, judge)
    records = [*records, first[0], replace(first[1], state=State.FAILED, outcome=None, failure="it diverged")]
    played = finals(records, space, 48, judge)
    assert first[1].placement not in {record.placement for record in played}
    assert len({record.placement for record in played} - {space.plain}) == MOST_PLACES - 1


def test_what_is_pending_counts_as_begun(
    space: SearchSpace, others: list[Placement], truth: dict[Placement, float]
) -> None:
    judge = judge_of(truth)
    records = screened(space, others, judge)
    one = following(records, space, 50)
    running = replace(ended(len(records), one, 0.5), state=State.RUNNING, outcome=None)
    other = following(records, space, 50, [running])
    assert (one.placement, other.seed) == (space.plain, one.seed)
    assert other.placement != space.plain


def test_a_study_that_goes_on_further_has_finals_of_its_own(
    space: SearchSpace, others: list[Placement], truth: dict[Placement, float]
) -> None:
    judge = judge_of(truth)
    records = screened(space, others, judge)
    records += finals(records, space, 50, judge)
    further = Finals(300)
    assert Finals(200).begun(records)
    assert not further.begun(records)
    one = further.next(records, (), plain=space.plain, ladder=(BUDGET,), cost="macs", n_trials=50)
    assert (one.placement, one.seed) == (space.plain, 8)


def test_finalists_are_those_that_all_runs_together_speak_for(space: SearchSpace) -> None:
    """With noise as large as the spread the highest of a hundred single runs are lucky ones; what the placements'
    attentions show in all runs says more. Mean truth over ten tasks, above that of the highest runs."""
    gains = []
    for number in range(10):
        task = LookupEvaluator(space, number, spread=0.01, interaction_share=0.2, run_noise=0.01)
        draw = random.Random(number)
        placements = list(dict.fromkeys(space.sample(draw) for _ in range(100)))
        truth = {placement: task.truth(placement) for placement in (space.plain, *placements)}
        judge = judge_of(truth, noise=0.01)
        played = finals(screened(space, placements, judge), space, 10 * FURTHER_SEEDS, judge)
        field = {record.placement for record in played if record.placement != space.plain}
        lucky = sorted(placements, key=lambda placement: -judge(placement, 0))[: len(field)]
        gains.append(fmean(truth[one] for one in field) - fmean(truth[one] for one in lucky))
    assert fmean(gains) > 0.001
    assert sum(gain > 0 for gain in gains) >= 8


def test_runs_before_the_finals_are_weighed_once_and_anew_where_they_are_others() -> None:
    runs = [ended(n, Evaluation(Placement(()), BUDGET, n, Role.PROPOSAL), 0.5) for n in range(3)]
    weighed = Screened()
    first = weighed(runs)
    assert weighed(list(runs)) is first
    assert weighed(runs[:2]) is not first
    assert weighed(runs[:2]).selected.runs[0].scores == {0: 0.5, 1: 0.5}
    others = [ended(n, Evaluation(Placement(()), BUDGET, n, Role.PROPOSAL), 0.6) for n in range(2)]
    assert weighed(others).selected.runs[0].scores == {0: 0.6, 1: 0.6}


def fields(runs: Sequence[TrialRecord], space: SearchSpace) -> Counter[Placement]:
    """How many runs each finalist has."""
    return Counter(run.placement for run in runs if run.placement != space.plain)


def test_early_finals_begin_with_few_where_none_but_the_leader_can_be_the_best(
    space: SearchSpace, others: list[Placement]
) -> None:
    """The others of the field follow, with the same seeds, where that settles nothing."""
    best = others[7]
    truth = {space.plain: 0.7, **dict.fromkeys(others, 0.7), best: 0.8}
    judge = judge_of(truth, noise=0.001)
    records = screened(space, others, judge)
    first = finals(records, space, (LEAST_FIELD + 1) * FURTHER_SEEDS, judge, early=True, worth=0.02)

    assert fields(first, space) == dict.fromkeys(fields(first, space), FURTHER_SEEDS)
    assert len(fields(first, space)) == LEAST_FIELD
    assert best in fields(first, space)

    n_trials = MOST_PLACES * FURTHER_SEEDS
    runs = finals(records, space, n_trials, judge, early=True, worth=0.02)
    whole = finals(records, space, n_trials, judge)
    assert runs[: len(first)] == first
    assert fields(runs, space) == fields(whole, space), "as finals in their time have it"
    assert {run.seed for run in runs} == {run.seed for run in whole}


def test_early_finals_have_all_that_may_be_better_by_what_matters(
    space: SearchSpace, others: list[Placement]
) -> None:
    """Half of all gain alike, and runs scatter by several times what matters."""
    truth = {space.plain: 0.7, **{other: 0.7 + 0.1 * (n < 20) for n, other in enumerate(others)}}
    judge = judge_of(truth, noise=0.02)
    n_trials = MOST_PLACES * FURTHER_SEEDS
    runs = finals(screened(space, others, judge), space, n_trials, judge, early=True, worth=0.003)
    assert len(fields(runs[:MOST_PLACES], space)) == MOST_PLACES - 1
