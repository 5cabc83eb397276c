"""Sections of an architecture file to typed values; what is wrong is collected, with its line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeVar

from nas_attn.document import Entry, Problems
from nas_attn.errors import did_you_mean
from nas_attn.ranking import Interval

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


class Section:
    """The fields of one mapping.

    Each method gives the value of a field, or a harmless stand-in after it has reported what is wrong: the
    caller reads on, and raises the problems before it uses the values.

    Args:
        entry: the mapping.
        problems: where to report.
        known: names of the fields that it may have.
    """

    def __init__(self, entry: Entry, problems: Problems, known: Sequence[str]) -> None:
        self.entry = entry
        self._problems = problems
        self.fields: dict[str, Entry] = {}
        if not isinstance(entry.value, dict):
            problems.add(entry, f"is {entry.shown}; write fields below it: {', '.join(known)}")
            return
        self.fields = entry.value
        for name, field in self.fields.items():
            if name not in known:
                problems.add(field, f"unknown field; {did_you_mean(name, known)}")

    def section(self, name: str, known: Sequence[str]) -> Section | None:
        """A mapping within this one; None where there is none."""
        field = self._required(name)
        return None if field is None else Section(field, self._problems, known)

    def text(self, name: str) -> str:
        """A word or a sentence."""
        return self._checked(name, _as_text, "text", "")

    def whole(self, name: str, least: int = 0) -> int:
        """A whole number of at least ``least``."""
        return self._checked(name, lambda field: _as_whole(field, least), f"a whole number from {least} up", least)

    def number(self, name: str) -> float:
        """A number."""
        return self._checked(name, _as_number, "a number", 0.0)

    def maybe_number(self, name: str) -> float | None:
        """A number; None where the field is null or left out."""
        return None if self._absent(name) else self.number(name)

    def maybe_flag(self, name: str) -> bool | None:
        """True or false; None where the field is null or left out."""
        return None if self._absent(name) else self._checked(name, _as_flag, "true or false", False)

    def maybe_interval(self, name: str) -> Interval | None:
        """Two numbers, the lower first; None where the field is null or left out."""
        if self._absent(name):
            return None
        return self._checked(name, _as_interval, "two numbers, the lower first", Interval(0.0, 0.0))

    def one_of(self, name: str, words: type[E]) -> E:
        """One word of an enumeration."""
        known = [str(word) for word in words]
        return self._checked(name, lambda field: _as_one_of(field, words), " | ".join(known), next(iter(words)))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of words."""
        return self._checked(name, lambda field: _as_list(field, _as_text), "a list of words", ())

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of numbers."""
        return self._checked(name, lambda field: _as_list(field, _as_number), "a list of numbers", ())

    def wholes(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers of at least 0."""
        return self._checked(name, _as_wholes, "a list of whole numbers from 0 up", ())

    def _absent(self, name: str) -> bool:
        return name not in self.fields or self.fields[name].value is None

    def _required(self, name: str) -> Entry | None:
        if name in self.fields:
            return self.fields[name]
        if isinstance(self.entry.value, dict):
            self._problems.add(self.entry, f"field '{name}' is missing")
        return None

    def _checked(self, name: str, read: Callable[[Entry], T | None], right: str, instead: T) -> T:
        field = self._required(name)
        if field is None:
            return instead
        value = read(field)
        if value is None:
            self._problems.add(field, f"is {field.shown}; it must be {right}")
            return instead
        return value


def _as_text(field: Entry) -> str | None:
    return field.value if isinstance(field.value, str) else None


def _as_whole(field: Entry, least: int) -> int | None:
    whole = isinstance(field.value, int) and not isinstance(field.value, bool)
    return int(field.value) if whole and field.value >= least else None  # type: ignore[arg-type, operator]


def _as_flag(field: Entry) -> bool | None:
    return field.value if isinstance(field.value, bool) else None


def _as_one_of(field: Entry, words: type[E]) -> E | None:
    return next((word for word in words if word.value == field.value), None)


def _as_number(field: Entry) -> float | None:
    number = isinstance(field.value, (int, float)) and not isinstance(field.value, bool)
    return field.value if number else None  # type: ignore[return-value]


def _as_list(field: Entry, read: Callable[[Entry], T | None]) -> tuple[T, ...] | None:
    if not isinstance(field.value, tuple):
        return None
    values = [value for item in field.value if (value := read(item)) is not None]
    return tuple(values) if len(values) == len(field.value) else None


def _as_wholes(field: Entry) -> tuple[int, ...] | None:
    return _as_list(field, lambda item: _as_whole(item, 0))


def _as_interval(field: Entry) -> Interval | None:
    values = _as_list(field, _as_number)
    return Interval(*values) if values is not None and len(values) == 2 and values[0] <= values[1] else None
