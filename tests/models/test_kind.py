"""Options are checked, completed and dropped where they equal the defaults; starts have versions."""

from __future__ import annotations

import pytest

from nas_attn.errors import AttentionError
from nas_attn.models.catalogue import catalogue
from nas_attn.models.kind import START, AttentionKind, Option, start_versions, unsaid_version
from nas_attn.models.placement import AttentionSpec

KIND = AttentionKind(
    "toy",
    "toy attention",
    "nobody 2000",
    options=(
        Option("reduction", 16, "ratio", minimum=1, maximum=64),
        Option("fusion", "add", "how", choices=("add", "max")),
        Option("bias", True, "whether"),
        Option("rate", 0.5, "share", minimum=0),
    ),
)

SECOND = ("bam", "cbam", "dynamic", "fca", "gala", "ge", "scse", "se")
"""Kinds whose hidden units learn as slowly as they are wide."""


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("reduction", 0, "toy: reduction is 0; it must be a whole number of at least 1 and at most 64"),
        ("reduction", 65, "toy: reduction is 65; it must be a whole number of at least 1 and at most 64"),
        ("reduction", 2.0, "toy: reduction is 2.0; it must be a whole number"),
        ("reduction", True, "toy: reduction is True; it must be a whole number"),
        ("fusion", "mul", "toy: fusion is 'mul'; it must be add | max"),
        ("bias", 1, "toy: bias is 1; it must be true | false"),
        ("rate", float("nan"), "toy: rate is nan; it must be a number of at least 0"),
        ("rate", "half", "toy: rate is 'half'; it must be a number of at least 0"),
        ("start", "warm", "toy: start is 'warm'; it must be neutral | paper | identity"),
        ("reductoin", 8, "toy has no option 'reductoin'; did you mean 'reduction'?"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(name: str, value: object, message: str) -> None:
    (problem,) = KIND.problems({name: value})
    assert problem.startswith(message)
    with pytest.raises(AttentionError):
        KIND.complete(AttentionSpec("toy", ((name, value),)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("reduction", 1), ("reduction", 64), ("rate", 0), ("bias", False)])
def test_a_value_that_is_allowed_is_taken(name: str, value: object) -> None:
    assert KIND.problems({name: value}) == []


def test_all_problems_are_found_together() -> None:
    assert len(KIND.problems({"reduction": 0, "fusion": "mul", "size": 3})) == 3


def test_a_spec_holds_only_what_differs_from_the_defaults() -> None:
    assert KIND.spec({"reduction": 16, "fusion": "max", "start": "neutral"}) == AttentionSpec(
        "toy", (("fusion", "max"),)
    )
    assert KIND.spec() == AttentionSpec("toy")


def test_a_spec_is_completed_with_the_defaults() -> None:
    assert KIND.complete(AttentionSpec("toy", (("reduction", 8),))) == {
        "reduction": 8,
        "fusion": "add",
        "bias": True,
        "rate": 0.5,
        "start": "neutral",
    }


def test_none_has_no_start() -> None:
    none = AttentionKind("none", "nothing", "")
    assert START not in none.all_options
    assert none.problems({"start": "paper"}) == ["none has no option 'start'; it takes none"]


def test_kinds_whose_neutral_start_has_changed_are_named_with_its_version() -> None:
    found = start_versions([AttentionSpec(name) for name in catalogue()], catalogue())
    assert found == {f"neutral start of {name}": 2 for name in SECOND}


@pytest.mark.parametrize("start", ["paper", "identity"])
def test_another_start_has_no_version(start: str) -> None:
    specs = [AttentionSpec(name, (("start", start),)) for name in SECOND]
    assert start_versions(specs, catalogue()) == {}


def test_what_says_no_version_has_the_first() -> None:
    assert (unsaid_version("neutral start of se"), unsaid_version("seed")) == (1, None)
