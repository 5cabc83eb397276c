"""What a study runs before its first proposal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from nas_attn.analysis import rank
from nas_attn.analysis.detection import FinalsSize, n_places
from nas_attn.analysis.verdict import verdict_of
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome, Role, TrialRecord
from nas_attn.strategy.schedule.opening import N_COMPARED, n_common_seeds, n_doubled_seeds
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LookupEvaluator

TOP, DOUBLE = Budget(400, 32, 8), Budget(800, 32, 8)


def run(studies: Any, evaluate: Any) -> tuple[TrialRecord, ...]:
    return run_trials(studies.settings, studies.ledger(), studies.agenda(), InlinePool(evaluate), lambda _: None)


def key(record: TrialRecord) -> tuple[Placement, Budget, int]:
    return record.placement, record.budget, record.seed


@pytest.mark.parametrize(("trials", "seeds"), [(10, 0), (79, 0), (80, 2), (119, 2), (120, 3), (1_000_000, 3)])
def test_a_small_study_spends_little_on_its_budget(trials: int, seeds: int) -> None:
    assert n_doubled_seeds(trials) == seeds


def test_the_noise_comes_first_then_twice_the_steps_then_the_other_references(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    studies.change(trials=120, n_screening_seeds=4)
    records = run(studies, evaluator)
    noise, doubled = records[:9], records[9:18]
    compared = {record.placement for record in noise}

    assert {record.budget for record in noise} == {TOP}
    assert {record.budget for record in doubled} == {DOUBLE}
    assert {(one.placement, one.seed) for one in doubled} == {(one.placement, one.seed) for one in noise}
    assert len(compared) == 3
    assert not records[0].placement.attended
    kinds = {frozenset(spec.kind for _, spec in placement.attended) for placement in compared}
    assert len(kinds) == 3, "two references of different kinds"
    assert {record.seed for record in noise} == {0, 1, 2}
    others = [record for record in records[18:] if record.role is Role.REFERENCE and record.placement.attended]
    assert others
    assert not {record.placement for record in others} & compared
    assert not any(record.is_probe for record in (*noise, *records[18:]))
    assert len({key(record) for record in records}) == len(records)


def test_the_plan_counts_them(studies: Any, evaluator: LookupEvaluator) -> None:
    """Of twice the steps only eight runs are new: the baseline's first is there in any study."""
    studies.change(trials=120, n_screening_seeds=4)
    agenda = studies.agenda()
    records = run(studies, evaluator)
    course = agenda.course(records)
    roles = [record.role for record in records]

    assert course.n_doubled == 8
    assert roles.count(Role.PROPOSAL) == agenda.n_proposals(course)
    assert roles.count(Role.FINALIST) == agenda.n_finalists(course) == 30


def test_a_study_with_the_old_order_goes_on_and_repeats_nothing(studies: Any, evaluator: LookupEvaluator) -> None:
    """As it was left by a search that began with all references and kept the noise for later."""
    studies.change(trials=120, n_screening_seeds=4)
    agenda, ledger = studies.agenda(), studies.ledger()
    course = agenda.course(())
    old = [one for one in course.reference_runs if one.budget == TOP][:6]
    for number, one in enumerate(old):
        record = ledger.begin(one, studies.settings.space, version="0", number=number)
        ledger.complete(record, evaluator(one.placement, one.budget, one.seed), "macs", "w")
    records = run(studies, evaluator)

    assert [key(record) for record in records[:6]] == [(one.placement, one.budget, one.seed) for one in old]
    assert len({key(record) for record in records}) == len(records) == 120
    assert {(one.placement, one.budget, one.seed) for one in course.opening} <= {key(one) for one in records}


def test_a_study_that_grows_gets_those_that_it_lacks(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(trials=60, n_screening_seeds=4)
    assert not any(record.is_probe for record in run(studies, evaluator))
    studies.change(trials=120)
    assert sum(record.is_probe for record in run(studies, evaluator)) == 8


def growing(evaluator: LookupEvaluator, differences: float) -> Any:
    """A task whose differences to the baseline grow by that factor with each doubling of the steps, while the
    baseline gains 0.9 points."""

    def evaluate(placement: Placement, budget: Budget, seed: int) -> Outcome:
        long = evaluator(placement, Budget(100_000, 32, 8), seed)
        plain = evaluator.base + 0.009 * (budget.steps >= 800)
        factor = differences if budget.steps >= 800 else 1.0
        noise = 0.0008 * evaluator._normal("own", budget.steps, seed, placement)
        gain = 0.01 if placement.attended else 0.0
        return replace(long, score=replace(long.score, iou=plain + factor * gain + noise))

    return evaluate


@pytest.mark.parametrize(("differences", "converged"), [(1.0, True), (3.0, False)])
def test_what_a_search_says_of_its_budget(
    studies: Any, evaluator: LookupEvaluator, differences: float, converged: bool
) -> None:
    studies.change(trials=120, worth=0.005)
    records = run(studies, growing(evaluator, differences))

    def said(some: Sequence[TrialRecord]) -> bool | None:
        return verdict_of(some, worth=0.005).converged

    assert said(records) is converged
    assert said(records[:18]) is converged, "before the first proposal"


@pytest.mark.parametrize("trials", [10, 23, 24, 60, 100, 120, 200, 700])
def test_the_model_of_what_a_search_sees_has_the_finals_that_it_gets(trials: int) -> None:
    finals = FinalsSize.of(trials, 0.25)
    assert finals.finalists == n_places(round(0.25 * trials)) - 1
    assert finals.references == (N_COMPARED if n_common_seeds(trials) else 0)


@pytest.mark.parametrize(("trials", "seeds"), [(10, 0), (23, 0), (24, 1), (47, 1), (48, 2), (1000, 2)])
def test_a_small_study_spends_little_on_common_seeds(trials: int, seeds: int) -> None:
    assert n_common_seeds(trials) == seeds


def test_the_noise_is_known_before_the_first_proposal(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(trials=60, n_screening_seeds=4)
    records = run(studies, evaluator)
    first = next(record.number for record in records if record.role is Role.PROPOSAL)
    before = [record for record in records[:first] if record.budget == studies.settings.budget]
    seeds: dict[Any, set[int]] = {}
    for record in before:
        seeds.setdefault(record.placement, set()).add(record.seed)

    common = [placement for placement, ran in seeds.items() if ran == {0, 1, 2}]
    assert len(common) == 3
    assert {len(ran) for ran in seeds.values()} == {1, 3}
    cheapest = sorted(before, key=lambda record: (record.outcome.cost.macs, record.placement.id))
    assert set(common) <= {record.placement for record in cheapest[:11]}
    pair = rank(records[:first]).noise.pair
    assert pair is not None
    assert pair.degrees_of_freedom == 4


def test_trials_with_common_seeds_are_a_part_of_the_plan(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(trials=60, n_screening_seeds=4)
    agenda = studies.agenda()
    records = run_trials(studies.settings, studies.ledger(), agenda, InlinePool(evaluator), lambda _: None)
    course = agenda.course(records)
    assert course is not None
    n_proposals = sum(record.role is Role.PROPOSAL for record in records)
    assert n_proposals == agenda.n_proposals(course)
    assert sum(record.role is Role.FINALIST for record in records) == agenda.n_finalists(course) == 15


def test_a_study_that_grows_gets_the_common_seeds_that_it_lacks(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(trials=20)
    run(studies, evaluator)
    studies.change(trials=60)
    records = run(studies, evaluator)
    full = [r for r in records if r.budget == studies.settings.budget]
    seeds: dict[Any, set[int]] = {}
    for record in full:
        seeds.setdefault(record.placement, set()).add(record.seed)
    assert len({(r.placement, r.seed) for r in full}) == len(full)
    references = {r.placement for r in full if r.role is Role.REFERENCE}
    assert sum(seeds[placement] >= {0, 1, 2} for placement in references) >= 3
