from __future__ import annotations

import pytest

from nas_attn.budget import Budget
from nas_attn.models.placement import AttentionSpec, Location, Placement, Stage
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.strategy.known_placements import known_placements

BUDGET = Budget(steps=10, image_size=16, batch_size=1)


def placement(name: str) -> Placement:
    return Placement(((Location(Stage.SKIP), AttentionSpec(name)),))


def record(number: int, name: str, seed: int, iou: float | None, **memory: object) -> TrialRecord:
    outcome = None if iou is None else Outcome(Score(iou, (iou,), 0.0), Cost(1, 1), (), 1.0)
    state = State.FAILED if iou is None else State.COMPLETE
    return TrialRecord(number, placement(name), BUDGET, seed, Role.PROPOSAL, state, outcome=outcome, memory=memory)


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
