"""What seeds add, told budget by budget and taken off, of records and of placements."""

from __future__ import annotations

import pytest

from nas_attn.budget import Budget
from nas_attn.models.placement import AttentionSpec, Location, Placement, Stage
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.strategy.seed_effects import freed, known_placements, luck


def placement(name: str) -> Placement:
    return Placement(((Location(Stage.SKIP), AttentionSpec(name)),))


def record(
    number: int, name: str, seed: int, iou: float | None, steps: int = 100, **memory: object
) -> TrialRecord:
    outcome = None if iou is None else Outcome(Score(iou, (iou,), 0.0), Cost(1, 1), (), 1.0)
    state = State.FAILED if iou is None else State.COMPLETE
    budget = Budget(steps, 32, 8)
    return TrialRecord(number, placement(name), budget, seed, Role.PROPOSAL, state, outcome=outcome, memory=memory)


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


def test_no_record_gives_nothing_known() -> None:
    assert known_placements([]) == ()


def test_one_seed_gives_its_own_iou_in_the_order_of_the_numbers() -> None:
    known = known_placements([record(1, "b", 0, 0.4), record(0, "a", 0, 0.6)])
    assert [(str(entry.placement), entry.iou) for entry in known] == [("skip.0=a", 0.6), ("skip.0=b", 0.4)]


def test_several_seeds_of_one_placement_give_their_mean() -> None:
    (known,) = known_placements([record(0, "a", 0, 0.5), record(1, "a", 1, 0.6), record(2, "a", 2, 0.7)])
    assert known.iou == pytest.approx(0.6)


def test_a_placement_without_success_has_no_iou() -> None:
    (known,) = known_placements([record(0, "a", 0, None), record(1, "a", 1, None)])
    assert known.iou is None


def test_a_failed_seed_beside_a_good_one_is_left_out() -> None:
    (known,) = known_placements([record(0, "a", 0, None), record(1, "a", 1, 0.5)])
    assert known.iou == 0.5


def test_the_first_record_keeps_its_memory_when_a_finalist_follows() -> None:
    (known,) = known_placements([record(7, "a", 1, 0.5), record(3, "a", 0, 0.5, generation=2)])
    assert known.first.memory == {"generation": 2}


def test_seeds_are_compared_by_all_placements_that_ran_with_them() -> None:
    """By hand: seed 1 adds 0.2 to everything. Placements with one run tell it by their means, 0.6 and 0.8."""
    runs = [(f"k{number}", number % 2, 0.5 + 0.1 * (number // 2) + 0.2 * (number % 2)) for number in range(6)]
    known = known_placements([record(number, *run) for number, run in enumerate(runs)])
    assert [entry.iou for entry in known] == pytest.approx([0.6, 0.6, 0.7, 0.7, 0.8, 0.8])


def test_a_lucky_seed_of_finalists_does_not_lift_them_above_the_others() -> None:
    """Seed 1 adds 0.2 to everything; the twenty better of a hundred ran with it, too."""
    worth = [0.5 + 0.001 * index for index in range(100)]
    runs = [(f"k{index}", 0, value) for index, value in enumerate(worth)]
    runs += [(f"k{index}", 1, value + 0.2) for index, value in enumerate(worth) if index >= 80]
    known = known_placements([record(number, *run) for number, run in enumerate(runs)])
    ious = [entry.iou or 0.0 for entry in known]
    assert ious[80] - ious[79] == pytest.approx(0.001)
    assert ious[99] - ious[80] == pytest.approx(0.019)
