"""The course of a study: the budget that is found, the rungs, and the time that is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome, Role, TrialRecord
from nas_attn.strategy.rungs import MOST_TWINS
from nas_attn.strategy.schedule.finals import FURTHER_SEEDS
from nas_attn.strategy.settings import StudySettings, differences, ladder_of
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import InlinePool, Pool
from nas_attn.training.evaluation import CostTable, LookupEvaluator
from tests.study.conftest import Studies

RUNGS = (200, 600, 1800)


def run(studies: Any, pool: Pool) -> tuple[TrialRecord, ...]:
    return run_trials(studies.settings, studies.ledger(), studies.agenda(), pool, lambda records: None)


def climbing(studies: Any, trials: int = 120) -> None:
    top = Budget(RUNGS[-1], 32, 8)
    studies.change(budget=top, ladder=RUNGS[:-1], strategy="additive", trials=trials)


def steps_of(records: Sequence[TrialRecord], role: Role) -> Counter[int]:
    return Counter(record.budget.steps for record in records if record.role is role)


@pytest.fixture(scope="module")
def climbed(settings: StudySettings, costs: CostTable, evaluator: LookupEvaluator) -> tuple[TrialRecord, ...]:
    """A study on a ladder."""
    studies = Studies(settings, costs)
    climbing(studies)
    return run(studies, InlinePool(evaluator))


def test_on_a_ladder_about_a_third_of_each_rung_climbs(climbed: Sequence[TrialRecord]) -> None:
    """But for the last proposals."""
    last = sum(record.role is Role.FINALIST for record in climbed) // FURTHER_SEEDS
    proposals = steps_of([record for record in climbed if record.role is Role.PROPOSAL][:-last], Role.PROPOSAL)

    assert proposals[200] >= 3 * proposals[600] >= 9 * proposals[1800]
    assert proposals[600] >= proposals[200] // 6
    assert proposals[1800] > 0


def test_a_placement_climbs_rung_by_rung(climbed: Sequence[TrialRecord]) -> None:
    seen: dict[Placement, list[int]] = {}
    for record in climbed:
        if record.role is Role.PROPOSAL:
            seen.setdefault(record.placement, []).append(record.budget.steps)

    assert {tuple(steps) for steps in seen.values()} == {RUNGS[:1], RUNGS[:2], RUNGS}


def test_the_last_proposals_let_placements_climb(climbed: Sequence[TrialRecord]) -> None:
    """As many as the race has places: what begins on the lowest rung now would not reach the top."""
    finalists = sum(record.role is Role.FINALIST for record in climbed)
    proposals = [record.budget.steps for record in climbed if record.role is Role.PROPOSAL]

    assert min(proposals[-(finalists // FURTHER_SEEDS) :]) > RUNGS[0]
    assert min(proposals[-(finalists // FURTHER_SEEDS) - 6 :]) == RUNGS[0]


def test_a_placement_climbs_with_the_seed_that_it_began_with(studies: Any, evaluator: LookupEvaluator) -> None:
    climbing(studies)
    studies.change(n_screening_seeds=3)
    seeds: dict[Placement, set[int]] = {}
    for record in run(studies, InlinePool(evaluator)):
        if record.role is Role.PROPOSAL:
            seeds.setdefault(record.placement, set()).add(record.seed)

    assert {len(taken) for taken in seeds.values()} == {1}
    assert {seed for taken in seeds.values() for seed in taken} == {0, 1, 2}


def test_references_run_on_every_rung_and_the_race_on_the_top_only(climbed: Sequence[TrialRecord]) -> None:
    references = [record for record in climbed if record.role is Role.REFERENCE and not record.is_probe]
    ran = {(record.reference, record.budget) for record in references}
    named = Counter(name for name, _ in ran)

    assert {named[name] for name in ("scse everywhere", "gate everywhere")} == {3}
    assert set(steps_of(climbed, Role.FINALIST)) == {1800}


def misleading(evaluator: LookupEvaluator) -> Any:
    """At 200 steps the order is turned round."""

    def evaluate(placement: Placement, budget: Budget, seed: int) -> Outcome:
        outcome = evaluator(placement, replace(budget, steps=100_000), seed)
        sign = -1 if budget.steps == 200 else 1
        iou = 0.6 + sign * (outcome.score.iou - 0.6)
        return replace(outcome, score=replace(outcome.score, iou=iou))

    return evaluate


def test_a_rung_whose_order_says_nothing_is_left_out(studies: Any, evaluator: LookupEvaluator) -> None:
    climbing(studies)
    records = run(studies, InlinePool(misleading(evaluator)))
    proposals = [record for record in records if record.role is Role.PROPOSAL]

    assert [record.budget.steps for record in proposals[-30:]].count(200) == 0


def test_short_runs_are_left_out_until_they_are_proven(studies: Any, evaluator: LookupEvaluator) -> None:
    """Here they foretell full ones; the references, which run on every rung, are the first part of the proof."""
    studies.change(budget=Budget(1800, 32, 8), ladder="auto", strategy="additive", trials=160)
    records = run(studies, InlinePool(replace(evaluator, run_noise=0.001, gap=0.02)))
    proposals = [record for record in records if record.role is Role.PROPOSAL]
    new = [
        record
        for n, record in enumerate(proposals)
        if record.placement not in {p.placement for p in proposals[:n]}
    ]

    assert new[0].budget.steps == 1800
    assert {record.budget.steps for record in new[-20:]} == {200}
    assert steps_of(proposals[-40:], Role.PROPOSAL)[1800] > 0, "and climb from there"


def test_without_proof_all_placements_run_in_full(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(budget=Budget(1800, 32, 8), ladder="auto", strategy="additive", trials=120)
    records = run(studies, InlinePool(misleading(evaluator)))
    short = [record for record in records if record.budget.steps == 200]
    full = {(record.placement, record.seed): record.number for record in records if record.budget.steps == 1800}

    assert len({record.placement for record in short}) == MOST_TWINS
    assert steps_of(records, Role.PROPOSAL)[1800] > 40
    assert 600 not in steps_of(records, Role.REFERENCE), "nothing would be learned from them"
    assert all(full[record.placement, record.seed] < record.number for record in short)


def test_short_runs_of_the_proof_take_no_seed_out_of_turn(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(budget=Budget(1800, 32, 8), ladder="auto", strategy="additive", trials=120, n_screening_seeds=4)
    records = run(studies, InlinePool(misleading(evaluator)))
    full = [record for record in records if record.role is Role.PROPOSAL and record.budget.steps == 1800]

    assert [record.seed for record in full[24:32]] == [0, 1, 2, 3] * 2
    assert [record.seed for record in full[:10]] == [0] * 8 + [0, 1]


@pytest.fixture
def quiet(evaluator: LookupEvaluator) -> LookupEvaluator:
    return replace(evaluator, seed_noise=0.001, run_noise=0.001)


def test_with_the_budget_found_the_rungs_are_shares_of_it(studies: Any, quiet: LookupEvaluator) -> None:
    studies.change(budget=Budget(450, 32, 8), find_budget=True, ladder="auto", trials=100, worth=0.05)
    course = studies.agenda().course(run(studies, InlinePool(quiet)))
    top = course.top.steps

    assert top in (450, 900)
    assert [budget.steps for budget in course.ladder] == [top // 9, top // 3, top]


def slow(evaluator: LookupEvaluator, seconds: float) -> Any:
    """Says that an evaluation took so long."""
    return lambda *asked: replace(evaluator(*asked), seconds=seconds)


def test_when_the_time_is_up_no_trial_begins(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(timeout=300.0, trials=1_000_000)

    assert len(run(studies, InlinePool(slow(evaluator, 10.0)))) == 30


def test_trials_that_run_count_before_the_time_is_up(studies: Any, evaluator: LookupEvaluator) -> None:
    """Several workers have begun some that nobody has looked at yet: a search by four ended eleven trials late."""
    studies.change(timeout=300.0, trials=1_000_000, parallel=4)
    records = run(studies, InlinePool(slow(evaluator, 10.0)))

    assert len(records) == 4 * 30
    assert run(studies, InlinePool(slow(evaluator, 10.0))) == records, "the same command adds nothing"
    assert studies.agenda().spent(records[:-3], 3) == studies.agenda().spent(records) == 300.0


def test_finalists_get_their_share_of_the_time(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(timeout=400.0, trials=1_000_000)
    roles = Counter(record.role for record in run(studies, InlinePool(slow(evaluator, 10.0))))

    assert roles[Role.FINALIST] == 10
    assert roles[Role.PROPOSAL] > 0


def test_whichever_ends_first_ends_the_study(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(timeout=400.0, trials=20)

    assert len(run(studies, InlinePool(slow(evaluator, 10.0)))) == 20


def test_near_the_end_of_their_time_placements_only_climb(studies: Any, evaluator: LookupEvaluator) -> None:
    """Full runs take 9 s, so that the last quarter of 800 s holds 22 of the finals, of 4 placements: once only 4
    full runs fit in before them, nothing new begins."""
    climbing(studies)
    studies.change(timeout=800.0, trials=1_000_000)

    def timed(placement: Placement, budget: Budget, seed: int) -> Outcome:
        return replace(evaluator(placement, budget, seed), seconds=budget.steps / 200)

    proposals = [record for record in run(studies, InlinePool(timed)) if record.role is Role.PROPOSAL]

    assert min(record.budget.steps for record in proposals[-4:]) > RUNGS[0]
    assert min(record.budget.steps for record in proposals[-20:]) == RUNGS[0]


def test_a_process_with_other_workers_decides_alike_near_the_end(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(timeout=400.0, trials=1_000_000, parallel=2)
    one = run(studies, InlinePool(slow(evaluator, 10.0)))
    studies.forget()
    studies.change(workers=2)

    assert run(studies, InlinePool(slow(evaluator, 10.0))) == one


def test_a_study_whose_time_is_up_goes_on_with_more_time(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(timeout=200.0, trials=1_000_000)
    run(studies, InlinePool(slow(evaluator, 10.0)))
    studies.change(timeout=300.0)

    assert len(run(studies, InlinePool(slow(evaluator, 10.0)))) == 30


def test_shorter_runs_may_start_from_the_plain_unet(studies: Any, evaluator: LookupEvaluator) -> None:
    climbing(studies)
    studies.change(ladder_start="plain")
    records = run(studies, InlinePool(evaluator))
    pretraining = {(record.budget.steps, record.budget.pretraining) for record in records}

    assert pretraining == {(200, 1800), (600, 1800), (1800, 0), (900, 0), (3600, 0)}


def test_where_the_rungs_start_is_part_of_what_a_study_is(studies: Any) -> None:
    climbing(studies)
    scratch = studies.settings.identity()
    studies.change(ladder_start="plain")
    plain = studies.settings.identity()

    assert "ladder start" not in scratch, "studies from before it existed go on"
    assert list(map(str, differences(scratch, plain))) == ["ladder start was scratch and is now plain"]
    assert ladder_of(plain, studies.settings.budget) == studies.settings.ladder_below(studies.settings.budget)
