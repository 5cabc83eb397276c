"""The budget at which differences between placements have settled, on tasks whose differences are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from nas_attn.analysis.verdict import verdict_of
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome, Role, TrialRecord
from nas_attn.space import Ceiling
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import InlinePool, Pool
from nas_attn.training.evaluation import LookupEvaluator

FIRST = Budget(100, 32, 8)


@dataclass(frozen=True)
class Task:
    """Where the baseline gains so much by each doubling, and attention gains two points in the end.

    Args:
        evaluator: for costs and draws.
        doubling: what each doubling brings the baseline.
        settles: steps from which on differences stay; before, they grow by three points with each doubling.
        seconds: that a step takes.
        noise: standard deviation of a run's IoU from seed to seed.
    """

    evaluator: LookupEvaluator
    doubling: float
    settles: int
    seconds: float = 1.0
    noise: float = 0.001

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        found = self.evaluator(placement, budget, seed)
        doublings, lacking = (
            (budget.steps // 100).bit_length() - 1,
            (self.settles // budget.steps).bit_length() - 1,
        )
        gain = 0.02 - 0.03 * max(0, lacking) if placement.attended else 0.0
        noise = self.noise * self.evaluator._normal("own", budget.steps, seed, placement)
        iou = 0.5 + 0.002 * seed + self.doubling * doublings + gain + noise
        return replace(found, score=replace(found.score, iou=iou), seconds=self.seconds * budget.steps)


def run(studies: Any, evaluate: Any, pool: Pool | None = None, **values: object) -> tuple[TrialRecord, ...]:
    given = {"budget": FIRST, "find_budget": True, "trials": 120, "worth": 0.01, **values}
    studies.change(n_screening_seeds=4, **given)
    pool = pool or InlinePool(evaluate)
    return run_trials(studies.settings, studies.ledger(), studies.agenda(), pool, lambda _: None)


def tops(records: Sequence[TrialRecord]) -> set[int]:
    return {record.budget.steps for record in records if record.role is not Role.REFERENCE}


def test_a_baseline_that_still_gains_a_point_needs_no_longer_runs(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    records = run(studies, Task(evaluator, 0.009, 100))
    assert tops(records) == {100}
    assert verdict_of(records, worth=0.01).converged is True
    assert {record.budget.steps for record in records} <= {50, 100, 200}
    assert len({(record.placement, record.budget, record.seed) for record in records}) == len(records) == 120


@pytest.mark.parametrize("doubling", [0.0, 0.03])
def test_it_is_doubled_until_differences_have_settled(
    studies: Any, evaluator: LookupEvaluator, doubling: float
) -> None:
    """Though the baseline has flattened from the first."""
    records = run(studies, Task(evaluator, doubling, 400, seconds=0.01))
    assert tops(records) == {400}
    assert verdict_of(records, worth=0.01).converged is True
    probes = [record for record in records if record.is_probe]
    assert {record.budget.steps for record in probes} == {100, 200, 400, 800}
    assert len(probes) == 4 * 9


def test_while_the_baseline_learns_fast_only_the_baseline_runs(studies: Any, evaluator: LookupEvaluator) -> None:
    """Each doubling brings it 8 points, up to the last that there is."""
    records = run(studies, Task(evaluator, 0.08, 100), timeout=100 * 1600 * 1.5)
    course = studies.agenda().course(records)
    probes = [record for record in records if record.is_probe and record.budget != course.top]
    assert course.settled is False
    assert course.top.steps == 1600
    assert not any(record.placement.attended and record.budget.steps < 1600 for record in probes)


def test_it_is_not_doubled_beyond_the_time_of_the_search(studies: Any, evaluator: LookupEvaluator) -> None:
    """A step takes a second, so that 120 trials of 200 steps take 6.7 hours, and of 400 more than twelve."""
    records = run(studies, Task(evaluator, 0.0, 1600))
    assert tops(records) == {200}
    assert studies.agenda().course(records).settled is False
    assert verdict_of(records, worth=0.01).converged is False


def test_what_loud_seeds_show_of_the_last_doubling_that_there_is_time_for_counts(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    """A second doubling would have to show it again."""
    loud = Task(evaluator, 0.0, 100, noise=0.03)
    short = run(studies, loud, worth=0.3, timeout=100 * 200 * 0.9)
    assert studies.agenda().course(short).settled is True
    assert tops(short) == {100}
    studies.forget()
    longer = run(studies, loud, worth=0.3, timeout=100 * 400 * 1.1)
    assert studies.agenda().course(longer).settled is True
    assert tops(longer) == {200}


def test_a_time_limit_has_to_hold_a_hundred_trials(studies: Any, evaluator: LookupEvaluator) -> None:
    records = run(studies, Task(evaluator, 0.0, 1600), timeout=100 * 400 * 1.01, trials=1_000_000)
    assert studies.agenda().course(records).top.steps == 400


def test_a_study_of_few_trials_finds_its_budget_by_the_baseline_alone(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    """Differences, which settle at 400 steps here, would take more runs than it has."""
    records = run(studies, Task(evaluator, 0.0, 400), trials=30)
    assert tops(records) == {100}
    assert [record.placement for record in records if record.budget.steps > 100] == [studies.settings.space.plain]
    assert verdict_of(records, worth=0.01).converged is not False


def test_a_study_that_grows_keeps_the_budget_that_it_found_with_few_trials(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    task = Task(evaluator, 0.0, 400)
    few = run(studies, task, trials=30)
    many = run(studies, task, trials=120)
    assert many[: len(few)] == few
    assert tops(many) == {100}
    assert len(many) == 120
    assert len({(record.placement, record.budget, record.seed) for record in many}) == 120


def test_another_worth_does_not_move_the_budget_of_a_study_that_proposes(
    studies: Any, evaluator: LookupEvaluator
) -> None:
    task = Task(evaluator, 0.0, 400)
    run(studies, task, trials=100)
    assert tops(run(studies, task, trials=120, worth=0.5)) == {400}


def test_where_no_reference_is_allowed_the_baseline_decides(studies: Any, evaluator: LookupEvaluator) -> None:
    space = studies.settings.space
    ceiling = Ceiling("absolute", studies.costs.plain.macs)
    studies.change(space=replace(space, limits=replace(space.limits, max_macs=ceiling)))
    records = run(studies, Task(evaluator, 0.004, 100), trials=30)
    assert studies.agenda().course(records).top.steps == 100
    assert studies.agenda().course(records).settled is True
