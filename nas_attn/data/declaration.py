"""What ``dataset.yaml`` says about a folder: classes, ignored value, splits, meaning of mask values."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nas_attn.data.dataset import MAX_CLASSES
from nas_attn.data.lines import Lines
from nas_attn.data.listing import SPLITS
from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.data.reach import is_file
from nas_attn.errors import did_you_mean
from nas_attn.names import name_problem

YAML_NAME, JSON_NAME = "dataset.yaml", "dataset.json"
MOST_MASK_VALUE = 65535
_FIELDS = ("name", "classes", "ignore_index", "in_channels", "mask_values", "splits")
_JSON_FIELDS = ("name", "classes", "ignore_index", "in_channels")
_NULLS = ("", "~", "null")
_MOST_BYTES = 4 << 20
_MOST_LEVELS = 10


@dataclass(frozen=True)
class Declaration:
    """What the user says of a data set; whatever is None is found out from the files.

    Args:
        lines: of the file that said it.
        name: of the data set.
        classes: names in the order of their indices.
        ignore_index: mask value of pixels that count for nothing.
        in_channels: C of the images.
        mask_values: (value in the mask files, class index) pairs.
        splits: (split, stems or patterns) pairs.
    """

    lines: Lines = field(default_factory=Lines)
    name: str | None = None
    classes: tuple[str, ...] | None = None
    ignore_index: int | None = None
    in_channels: int | None = None
    mask_values: tuple[tuple[int, int], ...] | None = None
    splits: tuple[tuple[str, tuple[str, ...]], ...] | None = None


def read_declaration(folder: Path) -> tuple[Declaration, list[Problem], list[str]]:
    """The declaration of a folder, what is wrong with it, and notes.

    ``dataset.yaml`` counts; without it the classes, ignore_index, in_channels and name of a
    ``dataset.json`` do, whose other fields may be anything.
    """
    if is_file(folder / YAML_NAME):
        return _read_yaml(folder / YAML_NAME)
    if is_file(folder / "dataset.yml"):
        line = f"dataset.yml is not read; rename it to {YAML_NAME}"
        return Declaration(), [Problem(Sort.DECLARATION, line)], []
    if is_file(folder / JSON_NAME):
        return _read_json(folder / JSON_NAME)
    return Declaration(), [], []


def _read_yaml(path: Path) -> tuple[Declaration, list[Problem], list[str]]:
    try:
        text = _text(path)
        _refuse_harm(text)
        # BaseLoader leaves every scalar a text: SafeLoader reads the stem 0017 as 15 and the class 'no' as False.
        values = yaml.load(text, Loader=yaml.BaseLoader)
        lines = Lines.of(path.name, text, _FIELDS)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        return Declaration(), [Problem(Sort.DECLARATION, f"{path.name}: no readable YAML: {_reason(error)}")], []
    if not isinstance(values, dict):
        line = f"{path.name}: must hold fields such as 'classes: [background, nucleus]'"
        return Declaration(), [Problem(Sort.DECLARATION, line)], []
    declaration, found = _declared(lines, {key: value for key, value in values.items() if value not in _NULLS})
    return declaration, [*(Problem(Sort.DECLARATION, line) for line in lines.repeated), *found], []


def _read_json(path: Path) -> tuple[Declaration, list[Problem], list[str]]:
    try:
        values = json.loads(_text(path))
    except (OSError, ValueError, RecursionError) as error:
        return Declaration(), [], [f"{path.name} was left out: no readable JSON: {_reason(error)}"]
    if not isinstance(values, dict) or not isinstance(values.get("classes"), list):
        return Declaration(), [], [f"{path.name} was left out: it has no list of classes"]
    declaration, found = _declared(Lines(path.name), {key: values[key] for key in _JSON_FIELDS if key in values})
    return declaration, found, []


def _refuse_harm(text: str) -> None:
    """Raises ValueError for what takes for ever to read: a declaration needs three levels, and no alias."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_LEVELS:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise ValueError(f"line {line}: nested deeper than {_MOST_LEVELS} levels")
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("aliases (*name) are not read; write the values out")


def _text(path: Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"larger than {_MOST_BYTES >> 20} MiB")
    return path.read_text(encoding="utf-8")


def _reason(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:200]


class _Found:
    """Problems with the lines that they are about."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.problems: list[Problem] = []

    def add(self, text: str, *path: object) -> None:
        """A problem of a field, or of what it holds."""
        self.problems.append(Problem(Sort.DECLARATION, f"{self.lines.place(*map(str, path))}: {text}"))


def _declared(lines: Lines, values: dict[Any, Any]) -> tuple[Declaration, list[Problem]]:
    found = _Found(lines)
    for name in values:
        if name not in _FIELDS:
            found.add(f"unknown field '{printable(name)}'; {did_you_mean(str(name), _FIELDS)}", name)
    classes = _classes(values.get("classes"), found)
    classes, mask_values = _mask_values(values.get("mask_values"), classes, found)
    declaration = Declaration(
        lines=lines,
        name=_name(values.get("name"), found),
        classes=classes,
        ignore_index=_number("ignore_index", values.get("ignore_index"), 0, MOST_MASK_VALUE, found),
        in_channels=_number("in_channels", values.get("in_channels"), 1, 4096, found),
        mask_values=mask_values,
        splits=_splits(values.get("splits"), found),
    )
    _check_ignored(declaration, found)
    return declaration, found.problems


def _name(value: object, found: _Found) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        found.add(f"name is {_short(value)}; it must be a text", "name")
        return None
    if problem := name_problem(value):
        found.add(f"name {problem}", "name")
    return value


def _number(name: str, value: object, least: int, most: int, found: _Found) -> int | None:
    if value is None or (_is_number(value) and least <= int(str(value)) <= most):
        return None if value is None else int(str(value))
    found.add(f"{name} is {_short(value)}; it must be a whole number from {least} to {most}", name)
    return None


def _classes(value: object, found: _Found) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        found.add(f"classes is {_short(value)}; it must be a list of names, as [background, nucleus]", "classes")
        return None
    if not 2 <= len(value) <= MAX_CLASSES:
        found.add(
            f"classes has {len(value)} names; from 2 to {MAX_CLASSES} are possible, background included", "classes"
        )
        return None
    repeated = sorted({name for name in value if value.count(name) > 1})
    if repeated:
        found.add(f"classes names {', '.join(map(printable, repeated))} more than once", "classes")
        return None
    _judge(value, "classes", found)
    return tuple(value)


def _judge(names: Iterable[str], field: str, found: _Found) -> None:
    """Told here rather than by an export, after the search."""
    for name in names:
        if problem := name_problem(name):
            found.add(f"{field}: the class {problem}", field)


def _mask_values(
    value: object, classes: tuple[str, ...] | None, found: _Found
) -> tuple[tuple[str, ...] | None, tuple[tuple[int, int], ...] | None]:
    """The classes, in the order of the values where no list names them, and the values' class indices."""
    if value is None:
        return classes, None
    if not isinstance(value, dict) or not value or not all(map(_is_meaning, value, value.values())):
        found.add(f"mask_values is {_short(value)}; it must be as {{0: background, 255: nucleus}}", "mask_values")
        return classes, None
    meanings = {int(key): name for key, name in value.items()}
    if len(meanings) < len(value):
        found.add("mask_values gives a value twice, such as 1 and 01; keep one of them", "mask_values")
    names = classes or tuple(dict.fromkeys(meanings[key] for key in sorted(meanings)))
    if classes is None:
        _judge(names, "mask_values", found)
    unknown = [(key, name) for key, name in value.items() if name not in names]
    for key, name in unknown:
        found.add(
            f"mask_values: unknown class '{printable(name)}'; {did_you_mean(name, names)}", "mask_values", key
        )
    if unknown:
        return classes, None
    if not 2 <= len(names) <= MAX_CLASSES:
        found.add(f"mask_values names {len(names)} classes; from 2 to {MAX_CLASSES} are possible", "mask_values")
        return classes, None
    return names, tuple((key, names.index(name)) for key, name in sorted(meanings.items()))


def _splits(value: object, found: _Found) -> tuple[tuple[str, tuple[str, ...]], ...] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        found.add(f"splits is {_short(value)}; it must be as {{train: [a, b], val: ['c*'], test: [d]}}", "splits")
        return None
    splits = []
    for split, patterns in value.items():
        listed = [patterns] if isinstance(patterns, str) else patterns
        if split not in SPLITS:
            found.add(
                f"splits: unknown split '{printable(split)}'; {did_you_mean(str(split), SPLITS)}", "splits", split
            )
        elif not isinstance(listed, list) or not all(_is_stem(stem) for stem in listed):
            found.add(
                f"splits: {split} is {_short(patterns)}; it must be a list of file names without endings",
                "splits",
                split,
            )
        else:
            for stem in map(str, listed):
                if "/" in stem or "\\" in stem or stem in (".", ".."):
                    wrong = f"splits: {split}: '{printable(stem)}' leaves the folder; give names of files only"
                    found.add(wrong, "splits", split)
            splits.append((split, tuple(map(str, listed))))
    return tuple(splits) or None


def _check_ignored(declaration: Declaration, found: _Found) -> None:
    ignored = declaration.ignore_index
    taken = dict(declaration.mask_values or ())
    if declaration.mask_values is None and declaration.classes:
        taken = {index: index for index in range(len(declaration.classes))}
    if ignored in taken and declaration.classes:
        name = printable(declaration.classes[taken[ignored]])
        found.add(
            f"ignore_index is {ignored}, which is also the class '{name}'; give one of them another value",
            "ignore_index",
        )


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,9}", str(value)) is not None


def _is_meaning(key: object, name: object) -> bool:
    return _is_number(key) and int(str(key)) <= MOST_MASK_VALUE and isinstance(name, str) and bool(name.strip())


def _is_stem(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _short(value: object) -> str:
    return printable(reprlib.repr(value))
