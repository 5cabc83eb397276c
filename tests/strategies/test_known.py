from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_attn.budget import Budget
from nas_attn.placement import AttentionSpec, Location, Placement, Stage
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.strategies._known import known_placements

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


def test_a_lucky_seed_of_finalists_does_not_lift_them_above_the_others() -> None:
    """By hand: seed 1 adds 0.2 to everything; b is 0.05 better than a, and only a was run with seed 1."""
    known = known_placements(
        [
            record(0, "plain", 0, 0.50),
            record(1, "a", 0, 0.60),
            record(2, "b", 0, 0.65),
            record(3, "plain", 1, 0.70),
            record(4, "a", 1, 0.80),
        ]
    )
    iou = {str(entry.placement): entry.iou for entry in known}
    assert iou["skip.0=a"] - iou["skip.0=plain"] == pytest.approx(0.10)
    assert iou["skip.0=b"] - iou["skip.0=a"] == pytest.approx(0.05)


effects = st.floats(-0.1, 0.1)


@given(
    worth=st.lists(effects, min_size=2, max_size=6),
    luck=st.lists(effects, min_size=1, max_size=4),
    extra=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 3))),
)
def test_differences_between_placements_survive_any_pattern_of_further_seeds(
    worth: list[float], luck: list[float], extra: set[tuple[int, int]]
) -> None:
    runs = {(index, 0) for index in range(len(worth))} | {
        (index, seed) for index, seed in extra if index < len(worth) and seed < len(luck)
    }
    records = [
        record(number, f"k{index}", seed, 0.5 + worth[index] + luck[seed])
        for number, (index, seed) in enumerate(sorted(runs))
    ]
    iou = {str(entry.placement): entry.iou for entry in known_placements(records)}
    for index, value in enumerate(worth):
        assert iou[f"skip.0=k{index}"] - iou["skip.0=k0"] == pytest.approx(value - worth[0], abs=1e-9)
