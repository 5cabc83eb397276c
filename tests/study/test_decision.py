"""``benchmarks/decision.py``: what counts as a decision, and as a right one."""

from __future__ import annotations

from functools import partial

import pytest
from decision import Decided, by_hand, by_product, summary
from worlds import WORLDS, World


def test_a_study_that_is_wrong_or_says_nothing_never_gets_to_a_right_answer() -> None:
    right, wrong, silent = (Decided(10, said, 2.0 if said else None) for said in (True, False, None))
    found = summary([right, right, right, wrong, silent])
    assert (found["right"], found["wrong"], found["runs"], found["spent"]) == (0.6, 0.2, 10, 10)
    assert found["gain"] == pytest.approx(1.2)
    assert summary([right, wrong, silent])["runs"] is None


@pytest.mark.parametrize("decide", [partial(by_hand, trials=25), partial(by_product, trials=100)])
def test_where_placements_gain_points_one_is_named_that_does(decide: partial[Decided]) -> None:
    world = World("huge", sparse=20.0)
    decided = decide(world, 0, worth=0.5)
    assert decided.right
    assert decided.gain is not None
    assert decided.gain > 0.5
    assert decided.runs >= 25


def test_a_search_by_hand_cannot_say_that_nothing_gains_what_matters() -> None:
    assert by_hand(WORLDS["null"], 0, worth=3, trials=10) == Decided(20, None)
    assert by_product(WORLDS["null"], 0, worth=3, trials=100).right
