"""Read values of a file into a dataclass with pydantic. Errors become lines with the field and the right form."""

from __future__ import annotations

import functools
import json
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from nas_attn.document.entry import Entry, Problems, shown
from nas_attn.document.words import allowed, is_composite, members, split
from nas_attn.errors import NasAttnError, did_you_mean

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

T = TypeVar("T")


def read_model(entry: Entry, model: type[T], problems: Problems) -> T | None:
    """Read a mapping into a dataclass; None if that is not possible, and then its problems are reported.

    The mapping has the fields of the dataclass, which are checked strictly by their types. In files whose values
    are texts, numbers are read from the texts.
    """
    value: T | None = _read(entry, model, problems)
    return value


def read_sound(entry: Entry, model: type, problems: Problems) -> dict[str, Any]:
    """Read only the valid fields of a mapping, so that they can be checked further although others are wrong."""
    whole = read_model(entry, model, problems)
    if whole is not None:
        return vars(whole)
    quiet, hints = Problems(problems.where, problems.kind), hints_of(model)
    read = {
        name: _read(field, hints[name], quiet)
        for name, field in entry.fields.items()
        if name in hints and not field.is_broken
    }
    return {name: value for name, value in read.items() if value is not None}


def _read(entry: Entry, hint: Any, problems: Problems) -> Any:
    from pydantic import ValidationError

    before = len(problems)
    for place, problem in _unknown(entry, hint):
        problems.add(place, problem)
    value = None
    try:
        if problems.kind.is_typed:
            value = _adapter(hint).validate_json(json.dumps(entry.plain), strict=True)
        else:
            value = _adapter(hint).validate_python(entry.plain)
    except ValidationError as error:
        for place, problem in _told(error.errors(include_url=False), entry, hint):
            problems.add(place, problem)
    except NasAttnError as error:
        for problem in error.problems:
            problems.add(entry, problem)
    return value if len(problems) == before else None


def known_version(document: Entry, version: int, problems: Problems) -> Entry:
    """The document without its field ``version``.

    Raises:
        NasAttnError: it has another version, so its fields would be misread.
    """
    if not isinstance(document.value, dict):
        return document
    found = document.value.get("version")
    if found is None:
        problems.add(document, f"the field 'version' is missing; write version: {version}")
    elif isinstance(found.value, bool) or found.value != version:
        problems.add(found, f"{found.shown} is not a version that this nas-attn reads; write {version}")
        problems.raise_if_any()
    return replace(document, value={name: entry for name, entry in document.value.items() if name != "version"})


def problem_of(hint: Hashable, value: object) -> str | None:
    """What is wrong with a single value for a type, in words; None if it is valid."""
    from pydantic import ValidationError

    try:
        _adapter(hint).validate_python(value, strict=True)
    except ValidationError as error:
        return _problem(error.errors(include_url=False)[0], hint, value)
    return None


def field_problems(model: type, values: Mapping[str, object]) -> list[tuple[str, str]]:
    """What is wrong with values for fields of a dataclass, as (field, problem) pairs."""
    hints = hints_of(model)
    judged = ((name, problem_of(hints[name], value)) for name, value in values.items())
    return [(name, problem) for name, problem in judged if problem is not None]


@functools.cache
def hints_of(model: type) -> Mapping[str, Any]:
    """The types of a dataclass's fields, including their annotations."""
    hints = get_type_hints(model, include_extras=True)
    return {field.name: hints[field.name] for field in fields(model)}


@functools.cache
def _adapter(hint: Hashable) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(hint)  # type: ignore[arg-type]  # it is a type


def _told(errors: list[ErrorDetails], root: Entry, model: object) -> Iterator[tuple[Entry, str]]:
    """The first problem of each value; a union would have one for each of its types."""
    told = set()
    for error in errors:
        entry, hint = root, model
        for step in error["loc"]:
            below = _below(entry, step)
            if below is None:
                break
            entry, hint = below, _inner(hint, step)
        place = (id(entry), error["loc"] if error["type"] == "missing" else None)
        if place not in told:
            yield entry, _problem(error, hint, entry.plain)
        told.add(place)


def _unknown(entry: Entry, hint: object) -> Iterator[tuple[Entry, str]]:
    """Fields that no dataclass has, at any depth; pydantic ignores them."""
    known = next((hints_of(base) for base, _ in map(split, members(hint)) if is_dataclass(base)), None)  # type: ignore[arg-type]  # a class, as it is a type
    for name, field in entry.fields.items():
        if known is not None and name not in known:
            yield field, f"unknown field; {did_you_mean(name, known)}"
        else:
            yield from _unknown(field, _inner(hint, name))


def _below(entry: Entry, step: int | str) -> Entry | None:
    if isinstance(entry.value, dict):
        return entry.value.get(str(step))
    return entry.value[step] if isinstance(entry.value, tuple) and isinstance(step, int) else None


def _inner(hint: object, step: int | str) -> object:
    """The type of a field of a mapping or of an item of a list; for an unknown field, the type of the mapping."""
    for base, _ in map(split, members(hint)):
        if is_dataclass(base):
            return hints_of(base).get(str(step), hint)  # type: ignore[arg-type]  # a class, as it is a type
        if get_origin(base) in (tuple, dict):
            return get_args(base)[0 if get_origin(base) is tuple else 1]
    return hint


def _problem(error: ErrorDetails, hint: object, value: object) -> str:
    if error["type"] == "read":
        return str(error["ctx"]["problem"])
    if error["type"] == "missing":
        return f"the field '{error['loc'][-1]}' is missing"
    if isinstance(value, (list, dict)) or any(is_composite(kind) for kind in members(hint)):
        return f"must be {allowed(hint)}, not {shown(value)}"
    return f"{shown(value)} must be {allowed(hint)}"
