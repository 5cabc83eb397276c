"""Who may begin beside whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Role
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.workers.pool import Task
from nas_attn.study.workers.turns import take_turn


def task(number: int, alone: bool = False) -> Task:
    return Task(number, Evaluation(Placement(()), Budget(1, 8, 1), 0, Role.PROPOSAL), alone=alone)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(1, 4), st.randoms(use_true_random=False))
def test_all_get_their_turn_and_the_lonely_ones_run_alone(lonely: list[bool], workers: int, random_) -> None:  # type: ignore[no-untyped-def]
    waiting, running, done = [task(number, alone) for number, alone in enumerate(lonely)], [], []
    while len(done) < len(lonely):
        while len(running) < workers and (one := take_turn(waiting, running)):
            running.append(one)
        assert running, "nobody runs though some wait"
        assert len(running) == 1 or not any(one.alone for one in running)
        done.append(running.pop(random_.randrange(len(running))))

    assert sorted(one.number for one in done) == list(range(len(lonely)))
    assert not waiting


def test_while_one_waits_to_run_alone_no_other_begins() -> None:
    waiting = [task(1), task(2, alone=True)]

    assert take_turn(waiting, [task(0)]) is None
    assert getattr(take_turn(waiting, []), "number", None) == 2
    assert take_turn(waiting, [task(2, alone=True)]) is None
    assert getattr(take_turn(waiting, []), "number", None) == 1


@pytest.mark.parametrize("running", [0, 1])
def test_where_nobody_waits_nobody_begins(running: int) -> None:
    assert take_turn([], [task(0)] * running) is None
