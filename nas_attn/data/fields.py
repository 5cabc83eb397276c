"""How the fields of ``dataset.yaml`` that say where files are, and what their values are, may be written."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass

from nas_attn.data.globs import glob_problem
from nas_attn.data.layout import FLAT, ClassPlaces, Places, has_wildcard
from nas_attn.data.listing import SPLITS
from nas_attn.data.problem import printable
from nas_attn.document import Read


@dataclass(frozen=True)
class ByClass:
    """Where the masks of each class are."""

    places: ClassPlaces


IGNORED_COLOUR = "ignored"
"""In place of a class among ``mask_colors``."""
_MOST_COLOURS = 1024


def short(value: object) -> str:
    """A value, cut where it is long."""
    return printable(reprlib.repr(value))


def is_number(value: object) -> bool:
    """Whether it is a whole number from 0, as text or not."""
    return not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,9}", str(value)) is not None


def _places(value: object) -> Places:
    if isinstance(value, dict):
        if strange := [name for name in value if name not in SPLITS]:
            raise ValueError(f"{short(strange[0])} is no split; splits are {', '.join(SPLITS)}")
        return tuple((str(split), place) for split, given in value.items() for place in _patterns(given))
    return tuple((FLAT, place) for place in _patterns(value))


def _mask_places(value: object) -> Places | ByClass:
    """A place, one for each split, or one for each class."""
    if not isinstance(value, dict) or not value or any(name in SPLITS for name in value):
        return _places(value)
    return ByClass(tuple((str(name), _places(given)) for name, given in value.items()))


def _patterns(value: object) -> list[str]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not given or not all(isinstance(one, str) and one for one in given):
        raise ValueError(f"{short(value)} must be a folder, as images/train, or a glob, as */images")
    return [_pattern(one) for one in given]


def _pattern(value: str) -> str:
    parts = value.rstrip("/").split("/")
    if value.startswith(("/", "~")) or "\\" in value or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{short(value)} must be a way from the folder of dataset.yaml, with / between its parts")
    if has_wildcard(value) and (problem := glob_problem("/".join(parts))):
        raise ValueError(f"{short(value)} {problem}")
    return "/".join(parts)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "/" in value or "\\" in value or len(value) > 255:
        raise ValueError(f"{short(value)} must be a text, as _gt")
    return value


def _switch(value: object) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise ValueError(f"{short(value)} must be true or false")
    return str(value).lower() == "true"


def _number(value: object) -> float:
    if (
        isinstance(value, bool)
        or not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,9})?", str(value))
        or float(str(value)) > 65534
    ):
        raise ValueError(f"{short(value)} must be a number from 0 to 65534")
    return float(str(value))


def _expression(value: object) -> str:
    try:
        compiled = re.compile(str(value)) if isinstance(value, str) and value else None
    except (re.error, RecursionError, OverflowError):
        compiled = None
    if compiled is None or len(str(value)) > 255:
        raise ValueError(f"{short(value)} must be a regular expression, as '^(patient[0-9]+)_'")
    return str(value)


def _colours(value: object) -> dict[str, tuple[tuple[int, int, int], ...]]:
    named = isinstance(value, dict) and value and all(isinstance(name, str) and name.strip() for name in value)
    if not isinstance(value, dict) or not named:
        raise ValueError(f"{short(value)} must be {_COLOURS}")
    found = {name: _colours_of(name, given) for name, given in value.items()}
    if sum(map(len, found.values())) > _MOST_COLOURS:
        raise ValueError(f"names more than {_MOST_COLOURS} colours")
    every = [colour for colours in found.values() for colour in colours]
    if twice := next((colour for colour in every if every.count(colour) > 1), None):
        raise ValueError(f"gives the colour {list(twice)} twice; a colour has one class")
    return found


def _colours_of(name: str, given: object) -> tuple[tuple[int, int, int], ...]:
    """One colour, or a list of some."""
    several = isinstance(given, list) and given and all(isinstance(one, list) for one in given)
    return tuple(_colour(name, one) for one in (given if several and isinstance(given, list) else [given]))


def _colour(name: str, given: object) -> tuple[int, int, int]:
    numbers = [int(str(part)) for part in given if is_number(part)] if isinstance(given, list) else []
    if not isinstance(given, list) or not len(numbers) == len(given) == 3 or max(numbers) > 255:
        raise ValueError(f"the colour {short(given)} of '{printable(name)}' must be three numbers from 0 to 255")
    return numbers[0], numbers[1], numbers[2]


_COLOURS = "a mapping as {background: [0, 0, 0], cell: [220, 20, 60]}"

PLACES = Read(_places, "a folder or a glob, or one for each split")
MASK_PLACES = Read(_mask_places, "a folder or a glob, one for each split, or one for each class")
SUFFIX = Read(_text, "a text, as _gt")
SWITCH = Read(_switch, "true or false")
NUMBER = Read(_number, "a number from 0 to 65534")
EXPRESSION = Read(_expression, "a regular expression")
COLOURS = Read(_colours, _COLOURS)
