"""What seeds add, told budget by budget and taken off."""

from __future__ import annotations

import pytest

from nas_attn.budget import Budget
from nas_attn.models.placement import AttentionSpec, Location, Placement, Stage
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.strategy.seed_effects import freed, luck


def record(number: int, name: str, seed: int, iou: float | None, steps: int = 100) -> TrialRecord:
    outcome = None if iou is None else Outcome(Score(iou, (iou,), 0.0), Cost(1, 1), (), 1.0)
    state = State.FAILED if iou is None else State.COMPLETE
    placement = Placement(((Location(Stage.SKIP), AttentionSpec(name)),))
    return TrialRecord(number, placement, Budget(steps, 32, 8), seed, Role.PROPOSAL, state, outcome=outcome)


def test_each_budget_tells_its_seeds_by_itself() -> None:
    long = [record(number, f"k{number}", number % 2, 0.7 + 0.1 * (number % 2), 900) for number in range(8)]
    short = [record(8 + number, f"k{number}", number % 2, 0.4 - 0.2 * (number % 2)) for number in range(8)]
    found = freed([*long, *short])
    assert [entry.number for entry in found] == list(range(16))
    ious = [entry.outcome.score.iou for entry in found if entry.outcome]
    assert ious == pytest.approx([0.75] * 8 + [0.3] * 8)


def test_records_of_one_seed_and_failed_ones_stay_as_they_are() -> None:
    records = (record(0, "a", 0, 0.5), record(1, "b", 0, None), record(2, "c", 0, 0.7))
    assert freed(records) == records


def test_a_seed_of_better_placements_is_not_taken_for_a_lucky_one() -> None:
    """Ten placements at 0.5 and ten at 0.6, which have two further seeds: these add nothing to any."""
    table = [{0: 0.5}] * 10 + [{0: 0.6, 1: 0.6, 2: 0.6}] * 10
    assert luck(table) == pytest.approx({0: 0.0, 1: 0.0, 2: 0.0}, abs=1e-12)
