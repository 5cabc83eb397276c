"""Who is to blame for the end of a worker."""

from __future__ import annotations

import pytest

from nas_attn.record import Shortage
from nas_attn.study.workers.death import Death, death_of, hopeless

CRASH, KILL = Death("a crash", own=True), Death("a kill", own=False)


@pytest.mark.parametrize(
    ("status", "out_of_memory", "death"),
    [
        pytest.param(-11, False, Death("signal 11 (SIGSEGV)", own=True), id="crash"),
        pytest.param(-6, False, Death("signal 6 (SIGABRT)", own=True), id="abort"),
        pytest.param(-9, False, Death("signal 9 (SIGKILL)", own=False), id="kill"),
        pytest.param(-15, False, Death("signal 15 (SIGTERM)", own=False), id="terminate"),
        pytest.param(
            -9,
            True,
            Death("signal 9 (SIGKILL): the machine is out of memory", own=True, out_of_memory=True),
            id="out of memory",
        ),
        pytest.param(-11, True, Death("signal 11 (SIGSEGV)", own=True), id="crash beside an out of memory"),
        pytest.param(1, False, Death("exit status 1", own=True), id="exit"),
        pytest.param(None, False, Death("an unknown cause", own=True), id="unknown"),
    ],
)
def test_an_exit_status_tells_how_and_who(status: int | None, out_of_memory: bool, death: Death) -> None:
    assert death_of(status, out_of_memory=out_of_memory) == death


@pytest.mark.parametrize(
    ("deaths", "given_up"),
    [
        ([CRASH], False),
        ([CRASH, CRASH], True),
        ([CRASH, KILL, CRASH], True),
        ([KILL] * 9, False),
        ([KILL] * 10, True),
        ([CRASH, *[KILL] * 8], False),
    ],
)
def test_two_crashes_or_ten_kills_are_enough(deaths: list[Death], given_up: bool) -> None:
    assert (hopeless(deaths) is not None) == given_up


def test_only_what_ends_for_want_of_memory_each_time_is_infeasible() -> None:
    starved = Death("the machine is out of memory", own=True, out_of_memory=True)

    assert getattr(hopeless([starved, KILL, starved]), "shortage", None) == Shortage()
    assert getattr(hopeless([starved, CRASH]), "shortage", None) is None
    assert getattr(hopeless([KILL] * 10), "shortage", None) is None
