"""Who is to blame for the end of a worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nas_attn.record import OutOfMemory
from nas_attn.study.workers.death import Death, death_of, hopeless, n_memory_kills, needs_solitude

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
    ("deaths", "alone"),
    [
        ([CRASH], False),
        ([CRASH, CRASH], True),
        ([CRASH, KILL, CRASH], True),
        ([KILL] * 9, False),
        ([KILL] * 10, True),
        ([CRASH, *[KILL] * 8], False),
    ],
)
def test_after_two_crashes_or_ten_kills_an_evaluation_is_repeated_alone(deaths: list[Death], alone: bool) -> None:
    assert needs_solitude(deaths) == alone
    assert hopeless(deaths) is None, "its neighbours may be to blame"


@pytest.mark.parametrize(
    ("deaths", "given_up"),
    [
        ([CRASH, CRASH, replace(CRASH, alone=True)], True),
        ([CRASH, CRASH, replace(KILL, alone=True)], False),
        ([CRASH, CRASH, replace(KILL, alone=True), replace(CRASH, alone=True)], True),
        ([*[KILL] * 10, *[replace(KILL, alone=True)] * 2], False),
        ([*[KILL] * 10, *[replace(KILL, alone=True)] * 3], True),
    ],
)
def test_only_what_also_crashes_alone_is_given_up(deaths: list[Death], given_up: bool) -> None:
    assert (hopeless(deaths) is not None) == given_up


def test_only_what_ends_for_want_of_memory_each_time_is_infeasible() -> None:
    starved = Death("the machine is out of memory", own=True, out_of_memory=True)
    lonely = replace(starved, alone=True)

    assert getattr(hopeless([starved, KILL, starved, lonely]), "shortage", None) == OutOfMemory()
    assert getattr(hopeless([starved, starved]), "shortage", None) is None, "a neighbour may have the memory"
    assert getattr(hopeless([starved, CRASH, lonely]), "shortage", None) is None
    assert getattr(hopeless([*[KILL] * 10, *[replace(KILL, alone=True)] * 3]), "shortage", None) is None


def test_a_kill_for_want_of_memory_is_seen_in_the_machine_and_in_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container has a counter of its own; that of the machine may not be visible there."""
    told = {"/proc/vmstat": "pgpgin 3\noom_kill 2\n", "/sys/fs/cgroup/memory.events": "oom 9\noom_kill 5\n"}
    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, **how: told.get(str(path)) or read(path, **how))
    assert n_memory_kills() == 7
    del told["/proc/vmstat"]
    monkeypatch.setattr(Path, "read_text", lambda path, **how: told[str(path)] if str(path) in told else missing())
    assert n_memory_kills() == 5


def missing() -> str:
    raise FileNotFoundError
