"""Silence is timed by the observer's own clock, and only while it looks."""

from __future__ import annotations

from nas_attn.study.database.signs_of_life import Watch


class Clock:
    """Shows what it was set to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def look(watch: Watch[str], clock: Clock, signs: dict[str, object], *, after: float) -> list[str]:
    clock.now += after
    return watch.look(signs)


def test_who_does_not_change_its_sign_is_silent_after_the_whole_patience() -> None:
    clock = Clock()
    watch: Watch[str] = Watch(patience=10, every=4, clock=clock)
    found = [look(watch, clock, {"lively": number, "dead": 7}, after=4) for number in range(5)]

    assert found == [[], [], [], ["dead"], ["dead"]]


def test_a_sign_ends_the_silence() -> None:
    clock = Clock()
    watch: Watch[str] = Watch(patience=10, every=4, clock=clock)
    signs = (1, 1, 1, 2, 2, 2, 2)

    assert [look(watch, clock, {"a": sign}, after=4) for sign in signs] == [[], [], [], [], [], [], ["a"]]


def test_an_observer_that_was_stopped_itself_accuses_nobody() -> None:
    clock = Clock()
    watch: Watch[str] = Watch(patience=10, every=4, clock=clock)
    look(watch, clock, {"a": 1}, after=4)

    assert look(watch, clock, {"a": 1}, after=10_000) == [], "8 of these seconds count"
    assert look(watch, clock, {"a": 2}, after=4) == []


def test_who_comes_back_is_new() -> None:
    clock = Clock()
    watch: Watch[str] = Watch(patience=6, every=4, clock=clock)
    look(watch, clock, {"a": 1}, after=4)
    look(watch, clock, {}, after=4)

    assert look(watch, clock, {"a": 1}, after=4) == []
    assert look(watch, clock, {"a": 1}, after=6) == ["a"]
