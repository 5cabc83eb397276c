"""The fields of ``dataset.yaml``, and their possible forms."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass
from typing import Annotated

from nas_attn.data.dataset import MAX_CLASSES
from nas_attn.data.layout import FLAT, SPLITS, ClassPlaces, Places, has_wildcard
from nas_attn.data.mask_reading import Colour
from nas_attn.data.problem import printable
from nas_attn.data.reach import glob_problem
from nas_attn.document import Read
from nas_attn.printable import name_problem

Names = tuple[str, ...]

IGNORED_COLOUR = "ignored"
"""Instead of a class among ``mask_colors``."""
_MOST_MASK_VALUE = 65535
_MOST_COLOURS = 1024
_COLOURS = "a mapping as {background: [0, 0, 0], cell: [220, 20, 60]}"
_WAYS = ("mask_values", "mask_colors", "threshold", "instances")


@dataclass(frozen=True)
class WrittenDeclaration:
    """The fields of the file; None for missing ones."""

    name: Annotated[str, Read(_named, "text")] | None = None
    classes: Annotated[Names, Read(_listed, "a list of names")] | None = None
    ignore_index: Annotated[int, _whole(0, _MOST_MASK_VALUE)] | None = None
    in_channels: Annotated[int, _whole(1, 4096)] | None = None
    mask_values: (
        Annotated[dict[int, str], Read(_meanings, "a mapping as {0: background, 255: nucleus}")] | None
    ) = None
    splits: WrittenSplits | None = None
    images: Annotated[Places, Read(_places, "a folder or a glob, or one for each split")] | None = None
    masks: (
        Annotated[
            Places | ByClass,
            Read(_mask_places, "a folder or a glob, one for each split, or one for each class"),
        ]
        | None
    ) = None
    multi_label: Annotated[bool, _SWITCH] | None = None
    image_suffix: Annotated[str, _TEXT] | None = None
    mask_suffix: Annotated[str, _TEXT] | None = None
    mask_colors: Annotated[dict[str, tuple[Colour, ...]], Read(_colours, _COLOURS)] | None = None
    color_tolerance: Annotated[int, _whole(0, 255)] | None = None
    threshold: Annotated[float, Read(_number, "a number from 0 to 65534")] | None = None
    instances: Annotated[bool, _SWITCH] | None = None
    clips: Annotated[bool, _SWITCH] | None = None
    image_key: Annotated[str, _TEXT] | None = None
    mask_key: Annotated[str, _TEXT] | None = None
    group: Annotated[str, Read(_expression, "a regular expression")] | None = None

    @property
    def ways(self) -> list[str]:
        """The fields that say how masks are read."""
        return [name for name in _WAYS if getattr(self, name) not in (None, False)]

    @property
    def class_places(self) -> ClassPlaces:
        """Where the masks of each class are; empty if a mask contains all of them."""
        return self.masks.places if isinstance(self.masks, ByClass) else ()

    @property
    def named_classes(self) -> Names | None:
        """The classes as listed, otherwise in the order of the places of their masks."""
        return self.classes or tuple(name for name, _ in self.class_places) or None


@dataclass(frozen=True)
class WrittenSplits:
    """Names of files, without their suffixes, of each split."""

    train: Annotated[Names, _STEMS] | None = None
    val: Annotated[Names, _STEMS] | None = None
    test: Annotated[Names, _STEMS] | None = None


@dataclass(frozen=True)
class ByClass:
    """Where the masks of each class are."""

    places: ClassPlaces


def classes_problem(names: Names) -> str | None:
    """Why names cannot be those of the classes; None if they can."""
    if not 2 <= len(names) <= MAX_CLASSES:
        return f"{len(names)} names; from 2 to {MAX_CLASSES} are possible, background included"
    # told here rather than by an export, after the search
    return "; ".join(f"the class {problem}" for name in names if (problem := name_problem(name))) or None


def _whole(least: int, most: int) -> Read:
    right = f"a whole number from {least} to {most}"

    def read(value: object) -> int:
        if _is_number(value) and least <= int(str(value)) <= most:
            return int(str(value))
        raise ValueError(f"{_short(value)} must be {right}")

    return Read(read, right)


def _named(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{_short(value)} must be a text")
    if problem := name_problem(value):
        raise ValueError(problem)
    return value


def _listed(value: object) -> Names:
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise ValueError(f"{_short(value)} must be a list of names, as [background, nucleus]")
    if repeated := sorted({name for name in value if value.count(name) > 1}):
        raise ValueError(f"names {', '.join(map(printable, repeated))} more than once")
    if problem := classes_problem(tuple(value)):
        raise ValueError(problem)
    return tuple(value)


def _meanings(value: object) -> dict[int, str]:
    if not isinstance(value, dict) or not value or not all(map(_is_meaning, value, value.values())):
        raise ValueError(f"{_short(value)} must be as {{0: background, 255: nucleus}}")
    meanings = {int(key): name for key, name in value.items()}
    if len(meanings) < len(value):
        raise ValueError("a value is given twice, such as 1 and 01; keep one of them")
    return meanings


def _stems(value: object) -> Names:
    stems = [value] if isinstance(value, str) else value
    if not isinstance(stems, list) or not all(isinstance(stem, str) and stem for stem in stems):
        raise ValueError(f"{_short(value)} must be a list of file names without endings")
    return tuple(stems)


def _is_meaning(key: object, name: object) -> bool:
    return _is_number(key) and int(str(key)) <= _MOST_MASK_VALUE and isinstance(name, str) and bool(name.strip())


def _short(value: object) -> str:
    """A value, shortened if it is long."""
    return printable(reprlib.repr(value))


def _is_number(value: object) -> bool:
    """Whether it is a whole number from 0, as text or not."""
    return not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,9}", str(value)) is not None


def _places(value: object) -> Places:
    if isinstance(value, dict):
        if strange := [name for name in value if name not in SPLITS]:
            raise ValueError(f"{_short(strange[0])} is not a split; splits are {', '.join(SPLITS)}")
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
        raise ValueError(f"{_short(value)} must be a folder, as images/train, or a glob, as */images")
    return [_pattern(one) for one in given]


def _pattern(value: str) -> str:
    parts = value.rstrip("/").split("/")
    if value.startswith(("/", "~")) or "\\" in value or any(part in ("", ".", "..") for part in parts):
        raise ValueError(
            f"{_short(value)} must be a way from the folder of dataset.yaml, with / between its parts"
        )
    if has_wildcard(value) and (problem := glob_problem("/".join(parts))):
        raise ValueError(f"{_short(value)} {problem}")
    return "/".join(parts)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or "/" in value or "\\" in value or len(value) > 255:
        raise ValueError(f"{_short(value)} must be a text, as _gt")
    return value


def _switch(value: object) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise ValueError(f"{_short(value)} must be true or false")
    return str(value).lower() == "true"


def _number(value: object) -> float:
    if (
        isinstance(value, bool)
        or not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,9})?", str(value))
        or float(str(value)) > 65534
    ):
        raise ValueError(f"{_short(value)} must be a number from 0 to 65534")
    return float(str(value))


def _expression(value: object) -> str:
    try:
        compiled = re.compile(str(value)) if isinstance(value, str) and value else None
    except (re.error, RecursionError, OverflowError):
        compiled = None
    if compiled is None or len(str(value)) > 255:
        raise ValueError(f"{_short(value)} must be a regular expression, as '^(patient[0-9]+)_'")
    return str(value)


def _colours(value: object) -> dict[str, tuple[Colour, ...]]:
    named = isinstance(value, dict) and value and all(isinstance(name, str) and name.strip() for name in value)
    if not isinstance(value, dict) or not named:
        raise ValueError(f"{_short(value)} must be {_COLOURS}")
    found = {name: _colours_of(name, given) for name, given in value.items()}
    if sum(map(len, found.values())) > _MOST_COLOURS:
        raise ValueError(f"names more than {_MOST_COLOURS} colours")
    every = [colour for colours in found.values() for colour in colours]
    if twice := next((colour for colour in every if every.count(colour) > 1), None):
        raise ValueError(f"gives the colour {list(twice)} twice; a colour has one class")
    return found


def _colours_of(name: str, given: object) -> tuple[Colour, ...]:
    """One colour, or a list of colours."""
    several = isinstance(given, list) and given and all(isinstance(one, list) for one in given)
    return tuple(_colour(name, one) for one in (given if several and isinstance(given, list) else [given]))


def _colour(name: str, given: object) -> Colour:
    numbers = [int(str(part)) for part in given if _is_number(part)] if isinstance(given, list) else []
    if not isinstance(given, list) or not len(numbers) == len(given) == 3 or max(numbers) > 255:
        raise ValueError(f"the colour {_short(given)} of '{printable(name)}' must be three numbers from 0 to 255")
    return numbers[0], numbers[1], numbers[2]


_SWITCH = Read(_switch, "true or false")
_TEXT = Read(_text, "a text, as _gt")
_STEMS = Read(_stems, "a list of file names without endings")
