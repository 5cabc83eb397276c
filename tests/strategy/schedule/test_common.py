"""Runs with common seeds before the first proposal."""

from __future__ import annotations

from typing import Any

import pytest

from nas_attn.analysis import rank
from nas_attn.record import Role
from nas_attn.strategy.schedule.common import n_common_seeds
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LookupEvaluator


@pytest.mark.parametrize(("trials", "seeds"), [(10, 0), (23, 0), (24, 1), (47, 1), (48, 2), (1000, 2)])
def test_a_small_study_spends_little_on_them(trials: int, seeds: int) -> None:
    assert n_common_seeds(trials) == seeds


def test_the_noise_is_known_before_the_first_proposal(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(trials=60, n_screening_seeds=4)
    records = run_trials(
        studies.settings, studies.ledger(), studies.agenda(), InlinePool(evaluator), lambda _: None
    )
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


def test_their_trials_are_a_part_of_the_plan(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(trials=60, n_screening_seeds=4)
    agenda = studies.agenda()
    records = run_trials(studies.settings, studies.ledger(), agenda, InlinePool(evaluator), lambda _: None)
    course = agenda.course(records)
    assert course is not None
    n_proposals = sum(record.role is Role.PROPOSAL for record in records)
    assert n_proposals == agenda.n_proposals(course)
    assert sum(record.role is Role.FINALIST for record in records) == agenda.n_finalists(course) == 15


def test_a_study_that_grows_gets_those_that_it_lacks(studies: Any, evaluator: LookupEvaluator) -> None:
    studies.change(trials=20)
    run_trials(studies.settings, studies.ledger(), studies.agenda(), InlinePool(evaluator), lambda _: None)
    studies.change(trials=60)
    records = run_trials(
        studies.settings, studies.ledger(), studies.agenda(), InlinePool(evaluator), lambda _: None
    )
    full = [r for r in records if r.budget == studies.settings.budget]
    seeds: dict[Any, set[int]] = {}
    for record in full:
        seeds.setdefault(record.placement, set()).add(record.seed)
    assert len({(r.placement, r.seed) for r in full}) == len(full)
    controls = {r.placement for r in full if r.role is Role.CONTROL}
    assert sum(seeds[placement] >= {0, 1, 2} for placement in controls) >= 3
