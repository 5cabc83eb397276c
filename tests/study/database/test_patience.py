"""Waiting for a server that is away, also before a study is open; no server is needed to try it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from nas_attn.errors import StudyError
from nas_attn.strategy.settings import StudySettings
from nas_attn.study.database import ledger as ledger_module
from nas_attn.study.database import patience
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.database.patience import patiently

URL = "postgresql+psycopg://me:secret@db.example/studies"


class Refused(Exception):
    """What a driver raises."""


def away(words: str = "connection refused") -> OperationalError:
    return OperationalError("connect", {}, Refused(words))


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(patience, "time", made)
    monkeypatch.setattr(patience, "_REACHED", set())
    return made


class Away:
    """A server that is away for the first so many calls."""

    def __init__(self, act: Callable[..., Any], calls: int, words: str = "connection refused") -> None:
        self._act, self._calls, self._words = act, calls, words

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self._calls -= 1
        if self._calls >= 0:
            raise away(self._words)
        return self._act(*arguments, **options)


@pytest.mark.parametrize(
    "words",
    [
        "connection refused",
        "FATAL:  the database system is starting up",
        "FATAL:  the database system is shutting down",
        "server closed the connection unexpectedly",
        "terminating connection due to administrator command",
    ],
)
def test_a_server_that_is_restarted_is_waited_for(words: str) -> None:
    assert patiently(Away(lambda: "here", 10, words), URL) == "here"


@pytest.mark.parametrize(
    "words",
    [
        'FATAL:  password authentication failed for user "me"',
        'FATAL:  database "studies" does not exist',
        "[Errno -2] Name or service not known",
        "Access denied for user 'me'@'localhost'",
    ],
)
def test_what_waiting_does_not_change_is_told_at_once(words: str, clock: Clock) -> None:
    with pytest.raises(OperationalError):
        patiently(Away(lambda: "here", 1, words), URL)
    assert clock.now == 0


def test_a_server_that_was_never_there_is_waited_for_a_minute_and_one_that_was_for_ten(clock: Clock) -> None:
    with pytest.raises(OperationalError):
        patiently(Away(lambda: "here", 10**6), URL)
    assert 60 <= clock.now < 70

    patiently(lambda: "here", URL)
    before = clock.now
    with pytest.raises(OperationalError):
        patiently(Away(lambda: "here", 10**6), URL)
    assert 600 <= clock.now - before < 610


def test_who_waits_is_told_without_the_password(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        patiently(Away(lambda: "here", 8), URL)

    shown = "postgresql+psycopg://me:***@db.example/studies"
    assert caplog.messages == [
        f"{shown} cannot be used; trying again for 60 seconds",
        f"{shown} can be used again",
    ]


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.mark.parametrize("calls", [1, 5])
def test_a_study_is_begun_found_and_opened_by_a_server_that_comes_back(
    url: str, settings: StudySettings, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    identity = json.loads(json.dumps(settings.identity()))
    open_storage = ledger_module.open_storage

    def again() -> None:
        monkeypatch.setattr(ledger_module, "open_storage", Away(open_storage, calls))

    again()
    assert not Ledger.exists(url, "small")
    again()
    created = Ledger.create(url, "small", identity, settings.context(), "macs")
    again()
    assert Ledger.exists(url, "small")
    again()
    assert Ledger.open(url, "small").identity == created.identity == identity


def test_a_creation_that_breaks_in_the_middle_is_taken_up(
    url: str, settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "_is_unborn", Away(ledger_module._is_unborn, 3))

    assert Ledger.create(url, "small", {"seed": 0}, settings.context(), "macs").identity == {"seed": 0}


@pytest.mark.parametrize("ask", ["identity", "context", "plan"])
def test_what_a_study_is_can_be_asked_of_a_server_that_comes_back(
    url: str, settings: StudySettings, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    ledger = Ledger.create(url, "small", {"seed": 0}, settings.context(), "macs")
    storage = ledger.optuna_storage
    expected = getattr(ledger, ask)
    monkeypatch.setattr(storage, "get_study_user_attrs", Away(storage.get_study_user_attrs, 4))

    assert getattr(ledger, ask) == expected


def test_verifications_beside_a_study_are_found_by_a_server_that_comes_back(
    url: str, settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.create(url, "small", {"seed": 0}, settings.context(), "macs")
    Ledger.create(url, "small.verify-1", {"seed": 0}, settings.context(), "macs")
    names = ledger_module.optuna.get_all_study_names
    monkeypatch.setattr(ledger_module.optuna, "get_all_study_names", Away(names, 4))

    assert [one.name for one in ledger.beginning_with("small.verify-")] == ["small.verify-1"]


def test_a_server_that_stays_away_is_one_line(
    url: str, settings: StudySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger.create(url, "small", {"seed": 0}, settings.context(), "macs")
    storage = ledger.optuna_storage
    monkeypatch.setattr(storage, "get_study_user_attrs", Away(storage.get_study_user_attrs, 10**6))

    with pytest.raises(StudyError) as error:
        _ = ledger.identity
    (line,) = error.value.problems
    assert "study.db: the storage cannot be used: connection refused" in line
