"""Files to dataclasses: every problem with its line, its field and what would be right."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import given
from hypothesis import strategies as st

from nas_attn.document import (
    FileKind,
    Problems,
    Read,
    allowed,
    field_problems,
    one_of,
    parse_document,
    problem_of,
    read_model,
    read_sound,
)
from nas_attn.errors import StudyError, UsageError

KIND = FileKind("a test", "a: 1", StudyError)
TEXTS = FileKind("a test", "a: 1", StudyError, is_typed=False)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    size: Annotated[int, Ge(1)]
    share: Annotated[float, Gt(0), Le(1)] = 1.0


def even(value: object) -> int:
    if not isinstance(value, int) or value % 2:
        raise UsageError(f"{value} is odd")
    return value // 2


@dataclass(frozen=True)
class Outer:
    inner: Inner
    names: tuple[str, ...]
    colour: Colour = Colour.RED
    word: Annotated[str, one_of("one", "two")] = "one"
    number: Annotated[int, Ge(1), Le(9)] | Literal["auto"] = "auto"
    half: Annotated[int, Read(even, "an even number")] | None = None
    more: dict[str, Inner] = field(default_factory=dict)
    is_so: bool = False


def read(text: str, kind: FileKind = KIND, model: Any = Outer) -> Any:
    problems = Problems("f.yaml", kind)
    value = read_model(parse_document(text, problems), model, problems)
    problems.raise_if_any()
    return value


def told(text: str, kind: FileKind = KIND) -> list[str]:
    with pytest.raises(StudyError) as caught:
        read(text, kind)
    return [line.removeprefix("f.yaml: ") for line in caught.value.problems]


GOOD = "inner: {size: 3}\nnames: [a, b]\n"


def test_a_file_becomes_its_dataclass() -> None:
    text = GOOD + "colour: blue\nnumber: 4\nhalf: 8\nmore:\n  x: {size: 1, share: 0.5}\nis_so: true\n"
    assert read(text) == Outer(
        Inner(3), ("a", "b"), Colour.BLUE, number=4, half=4, more={"x": Inner(1, 0.5)}, is_so=True
    )
    assert read(GOOD + "number: auto\n").number == "auto"


PROBLEMS = {
    "unknown below": (
        "inner: {size: 1, shre: 1}\nnames: []",
        "line 1: inner.shre: unknown field; did you mean 'share'?",
    ),
    "unknown in a mapping": (
        GOOD + "more:\n  x:\n    size: 1\n    sise: 2",
        "line 6: more.x.sise: unknown field; did you mean 'size'?",
    ),
    "missing": ("names: [a]", "line 1: the field 'inner' is missing"),
    "missing below": ("inner: {share: 1}\nnames: [a]", "line 1: inner: the field 'size' is missing"),
    "below its least": (
        "inner:\n  size: 0\nnames: [a]",
        "line 2: inner.size: 0 must be a whole number of at least 1",
    ),
    "a text for a number": (
        "inner: {size: '3'}\nnames: []",
        "line 1: inner.size: '3' must be a whole number of at least 1",
    ),
    "true for a number": (
        "inner: {size: true}\nnames: []",
        "line 1: inner.size: true must be a whole number of at least 1",
    ),
    "a part of a number": (
        "inner: {size: 1.0}\nnames: []",
        "line 1: inner.size: 1.0 must be a whole number of at least 1",
    ),
    "outside an open range": (
        "inner: {size: 1, share: 0}\nnames: []",
        "line 1: inner.share: 0 must be a number above 0 and at most 1",
    ),
    "a list for a mapping": (
        "inner: [1]\nnames: []",
        "line 1: inner: must be a mapping of size, share, not a list",
    ),
    "a word for a list": ("inner: {size: 1}\nnames: a", "line 2: names: must be a list of words, not 'a'"),
    "an item of a list": ("inner: {size: 1}\nnames:\n- a\n- 3", "line 4: names: 3 must be text"),
    "a word of several": (GOOD + "word: three", "line 3: word: 'three' must be one | two"),
    "an enumeration": (GOOD + "colour: green", "line 3: colour: 'green' must be red | blue"),
    "a union": (GOOD + "number: many", "line 3: number: 'many' must be a whole number from 1 to 9, or 'auto'"),
    "a union beyond its range": (
        GOOD + "number: 10",
        "line 3: number: 10 must be a whole number from 1 to 9, or 'auto'",
    ),
    "a reader's own words": (GOOD + "half: 3", "line 3: half: 3 is odd"),
    "nothing": (GOOD + "word:", "line 3: word: an empty value must be one | two"),
    "a truth value": (GOOD + "is_so: 1", "line 3: is_so: 1 must be true or false"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_problem_is_one_line(text: str, problem: str) -> None:
    assert told(text) == [problem]


def test_all_problems_are_told_at_once_from_top_to_bottom() -> None:
    lines = told("names: 3\nwrod: one\ninner: {size: 0, share: 2}\ncolour: .nan\n")
    assert [line.split(": ")[:2] for line in lines] == [
        ["line 1", "names"],
        ["line 2", "wrod"],
        ["line 3", "inner.size"],
        ["line 3", "inner.share"],
        ["line 4", "colour"],
    ]


def test_texts_are_read_as_numbers_where_a_kind_of_files_has_texts_only() -> None:
    assert read("inner: {size: 003}\nnames: [no, 0017]", TEXTS) == Outer(Inner(3), ("no", "0017"))


def test_sound_fields_are_kept_beside_wrong_ones() -> None:
    problems = Problems("f.yaml", KIND)
    document = parse_document("inner: {size: 0}\nnames: [a]\nnumber: 7\nwrod: one", problems)
    assert read_sound(document, Outer, problems) == {"names": ("a",), "number": 7}
    assert len(problems.lines) == 2


def test_words_of_types() -> None:
    assert allowed(Annotated[float, Ge(0), Lt(1)]) == "a number from 0 to below 1"
    assert (
        allowed(Annotated[int, Ge(4), Le(9)] | Literal["full"] | None) == "a whole number from 4 to 9, or 'full'"
    )
    assert allowed(tuple[float, ...]) == "a list of numbers"
    assert allowed(Annotated[float, Gt(0), Lt(math.inf)]) == "a number above 0"
    assert allowed(Inner) == "a mapping of size, share"
    assert allowed(Colour) == "red | blue"


@given(st.integers())
def test_a_range_is_judged_as_its_words_say(number: int) -> None:
    problem = problem_of(Annotated[int, Ge(-5), Le(5)], number)
    assert (problem is None) == (-5 <= number <= 5)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["inner", "size", "names", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["inner", "names", "colour", "word", "number", "half", "more", "x"]), PLAIN)
)
def test_any_values_are_read_or_refused_in_printable_lines(values: dict[str, Any]) -> None:
    from nas_attn.document import Entry

    problems = Problems("f", KIND)
    value = read_model(Entry.of(values), Outer, problems)
    assert (value is None) == bool(problems.lines)
    assert all(line.isprintable() for line in problems.lines)


def test_values_of_a_dataclass_are_judged_by_its_types() -> None:
    assert field_problems(Inner, {"size": 0, "share": 0.5}) == [("size", "0 must be a whole number of at least 1")]
