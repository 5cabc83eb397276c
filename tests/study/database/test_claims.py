"""Claims: one process at a time has a trial, and the dead and the silent lose theirs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy

from nas_attn.strategy.settings import StudySettings
from nas_attn.study.database import claims as claims_module
from nas_attn.study.database.claims import ClaimTable, TrialClaim, alive
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.database.signs_of_life import has_ended, this_process


@pytest.fixture
def engine(tmp_path: Path) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'study.db'}", connect_args={"timeout": 60})


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(claims_module, "PATIENCE_SECONDS", 0.5)


def rows(engine: sqlalchemy.Engine) -> list[tuple[int, int, str]]:
    with engine.connect() as connection:
        found = connection.execute(
            sqlalchemy.text("SELECT study_id, number, holder FROM nas_attn_claims ORDER BY study_id, number")
        )
        return [tuple(row) for row in found]


def test_a_trial_is_taken_by_one(engine: sqlalchemy.Engine) -> None:
    one, other = ClaimTable(engine, 1, "one"), ClaimTable(engine, 1, "other")

    assert one.take(0)
    assert not other.take(0)
    assert one.take(0), "who has it keeps it"
    assert other.take(1)
    assert ClaimTable(engine, 2, "other").take(0), "another study"


def test_of_many_at_once_one_takes_it(engine: sqlalchemy.Engine) -> None:
    holders = [ClaimTable(engine, 1, f"holder {index}") for index in range(8)]
    for number in range(20):
        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(lambda one, number=number: one.take(number), holders))
        assert sum(taken) == 1


def test_what_is_given_back_can_be_taken(engine: sqlalchemy.Engine) -> None:
    one, other = ClaimTable(engine, 1, "one"), ClaimTable(engine, 1, "other")
    one.take(0)
    one.give_back(0)

    assert other.take(0)
    other.give_back(0)
    assert rows(engine) == []


def test_a_settled_claim_goes_with_the_next(engine: sqlalchemy.Engine) -> None:
    one = ClaimTable(engine, 1, "one")
    one.take(0)
    one.take(1)
    one.settle(0)
    one.take(2)

    assert rows(engine) == [(1, 1, "one"), (1, 2, "one")]


def test_claims_of_others_come_with_their_heartbeats(engine: sqlalchemy.Engine) -> None:
    one, other = ClaimTable(engine, 1, "one"), ClaimTable(engine, 1, "other")
    one.take(0)
    other.take(1)
    other.take(3)
    other.beat()

    assert one.held_by_others() == {1: TrialClaim("other", 1), 3: TrialClaim("other", 1)}


def test_a_claim_that_beat_meanwhile_is_not_released(engine: sqlalchemy.Engine) -> None:
    one, other = ClaimTable(engine, 1, "one"), ClaimTable(engine, 1, "other")
    other.take(1)
    seen = one.held_by_others()[1]
    other.beat()

    assert not one.release(1, seen)
    assert one.release(1, one.held_by_others()[1])
    assert one.take(1)


@pytest.mark.usefixtures("hurry")
def test_a_silent_holder_loses_its_claims_and_a_lively_one_keeps_them(engine: sqlalchemy.Engine) -> None:
    silent, lively = ClaimTable(engine, 1, "silent"), ClaimTable(engine, 1, "lively")
    watching = ClaimTable(engine, 1, "watching")
    silent.take(0)
    lively.take(1)
    with alive(lively), alive(watching):
        end = time.monotonic() + 30
        while not watching.take(0) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(1)
        assert watching.take(0)
        assert not watching.take(1)


@pytest.mark.usefixtures("hurry")
def test_a_wall_clock_that_jumps_does_no_harm(engine: sqlalchemy.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever day it is, here or there, a lively holder keeps its claims."""
    day = iter([0.0, 4e9, -4e9] * 10_000)
    monkeypatch.setattr(time, "time", lambda: next(day))
    lively, watching = ClaimTable(engine, 1, "lively"), ClaimTable(engine, 1, "watching")
    lively.take(1)
    with alive(lively), alive(watching):
        threading.Event().wait(2)
        assert not watching.take(1)


def test_at_the_end_all_is_given_back(engine: sqlalchemy.Engine) -> None:
    one = ClaimTable(engine, 1, "one")
    with alive(one):
        one.take(0)
        one.take(1)
        assert len(rows(engine)) == 2
    assert rows(engine) == []


def test_what_a_dead_process_of_this_machine_held_is_free_at_once(engine: sqlalchemy.Engine) -> None:
    script = "from nas_attn.study.database.signs_of_life import this_process; print(this_process())"
    dead = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.strip()
    ClaimTable(engine, 1, f"{dead}:0").take(0)
    ClaimTable(engine, 1, f"{this_process()}:77").take(1)
    ClaimTable(engine, 1, "elsewhere:4711:0123abcd:99:0").take(2)
    watching = ClaimTable(engine, 1)
    with alive(watching):
        assert watching.take(0)
        assert not watching.take(1)
        assert not watching.take(2)


def test_a_process_is_known_to_have_ended_only_here() -> None:
    name = this_process()
    node, pid, machine, birth = name.split(":")

    assert not has_ended(name)
    assert not has_ended(f"{name}:3")
    assert has_ended(f"{node}:{pid}:{machine}:{birth}1"), "the number was given to another process"
    assert not has_ended(f"{node}:{pid}:another:{birth}1"), "another machine"
    assert not has_ended("nonsense")


def test_a_study_is_born_once_though_many_begin_it(tmp_path: Path, settings: StudySettings) -> None:
    """Whoever comes second finds a whole study."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    Ledger.exists(url, "nothing")
    gate = threading.Barrier(4)

    def begin(seed: int) -> object:
        gate.wait()
        identity = json.loads(json.dumps({**settings.identity(), "seed": seed}))
        try:
            return Ledger.create(url, "small", identity, settings.context(), "macs").identity["seed"]
        except Exception as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(begin, range(4)))

    born = [one for one in found if isinstance(one, int)]
    assert len(born) == 1
    assert Ledger.open(url, "small").identity["seed"] == born[0]
    assert [str(one) for one in found if not isinstance(one, int)] == [
        f"{tmp_path / 'study.db'}: there is a study 'small' already"
    ] * 3
