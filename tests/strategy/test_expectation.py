"""What is expected of placements that were run, or not, where the truth is made up."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from nas_attn.budget import Budget
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.record import Role, State, TrialRecord
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategy import expected_ious
from nas_attn.training.evaluation import LookupEvaluator

BUDGET = Budget(3000, 32, 8)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return read_space("unet_attention_small", catalogue(), base_channels=8, image_size=32)


def runs(task: LookupEvaluator, placements: Sequence[Placement]) -> list[TrialRecord]:
    return [
        TrialRecord(
            n, placement, BUDGET, n % 3, Role.PROPOSAL, State.COMPLETE, outcome=task(placement, BUDGET, n % 3)
        )
        for n, placement in enumerate(placements)
    ]


def test_placements_that_never_ran_are_expected_where_their_attentions_put_them(space: SearchSpace) -> None:
    task = LookupEvaluator(space, 3, interaction_share=0.0, run_noise=1e-4, seed_noise=0.02)
    draw = random.Random(0)
    tried, new = [space.sample(draw) for _ in range(120)], [space.sample(draw) for _ in range(20)]
    expected = expected_ious(runs(task, tried), new)
    away = [expected[placement] - task.truth(placement) for placement in new]
    assert max(away) - min(away) < 0.002  # of placements that differ by several points


def test_what_failed_is_expected_to_be_worse_than_its_like(space: SearchSpace) -> None:
    draw = random.Random(0)
    records = runs(LookupEvaluator(space), [space.sample(draw) for _ in range(60)])
    bad = records[7].placement
    failed = [
        TrialRecord(r.number, r.placement, BUDGET, r.seed, r.role, State.FAILED, failure="nan")
        if r.placement == bad
        else r
        for r in records
    ]
    assert expected_ious(failed, [bad])[bad] < expected_ious(records, [bad])[bad]


def test_few_runs_let_nothing_be_expected(space: SearchSpace) -> None:
    draw = random.Random(0)
    records = runs(LookupEvaluator(space), [space.sample(draw) for _ in range(15)])
    assert expected_ious(records, [space.plain]) == {}
    assert expected_ious((), [space.plain]) == {}
