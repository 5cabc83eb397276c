"""Errors carry their problems, and suggestions are near."""

from __future__ import annotations

import pickle

import pytest

from nas_attn.errors import NasAttnError, SpaceError, UsageError, did_you_mean


def test_one_problem_or_many_become_lines() -> None:
    assert str(UsageError("one")) == "one"
    error = SpaceError(["first", "second"])
    assert error.problems == ("first", "second")
    assert str(error) == "first\nsecond"


def test_an_error_survives_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(SpaceError(["first", "second"])))
    assert type(error) is SpaceError
    assert error.problems == ("first", "second")


def test_every_error_can_be_caught_as_one() -> None:
    with pytest.raises(NasAttnError):
        raise SpaceError("x")


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("cbm", ["se", "cbam"], "did you mean 'cbam'?"),
        ("xyz", ["se", "cbam"], "known: cbam, se"),
        ("x", [], "known: (none)"),
    ],
    ids=["near", "far", "nothing known"],
)
def test_a_suggestion_is_the_nearest_name_or_all(name: str, known: list[str], text: str) -> None:
    assert did_you_mean(name, known) == text
