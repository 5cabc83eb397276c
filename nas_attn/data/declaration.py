"""What ``dataset.yaml`` says about a folder: classes, ignored value, splits, meaning of mask values."""

from __future__ import annotations

import json
import re
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nas_attn.data.dataset import MAX_CLASSES
from nas_attn.data.listing import SPLITS
from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.errors import did_you_mean

YAML_NAME, JSON_NAME = "dataset.yaml", "dataset.json"
MOST_MASK_VALUE = 65535
_FIELDS = ("name", "classes", "ignore_index", "in_channels", "mask_values", "splits")
_JSON_FIELDS = ("name", "classes", "ignore_index", "in_channels")
_NULLS = ("", "~", "null")
_MOST_BYTES = 4 << 20


@dataclass(frozen=True)
class Declaration:
    """What the user says of a data set; whatever is None is found out from the files.

    Args:
        source: name of the file that said it; empty where there is none.
        name: of the data set.
        classes: names in the order of their indices.
        ignore_index: mask value of pixels that count for nothing.
        in_channels: C of the images.
        mask_values: (value in the mask files, class index) pairs.
        splits: (split, stems or patterns) pairs.
    """

    source: str = ""
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
    if (folder / YAML_NAME).is_file():
        return _read_yaml(folder / YAML_NAME)
    if (folder / "dataset.yml").is_file():
        line = f"dataset.yml is not read; rename it to {YAML_NAME}"
        return Declaration(), [Problem(Sort.DECLARATION, line)], []
    if (folder / JSON_NAME).is_file():
        return _read_json(folder / JSON_NAME)
    return Declaration(), [], []


def _read_yaml(path: Path) -> tuple[Declaration, list[Problem], list[str]]:
    try:
        # BaseLoader leaves every scalar a text: SafeLoader reads the stem 0017 as 15 and the class 'no' as False.
        values = yaml.load(_text(path), Loader=yaml.BaseLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        return Declaration(), [Problem(Sort.DECLARATION, f"{path.name}: no readable YAML: {_reason(error)}")], []
    if not isinstance(values, dict):
        line = f"{path.name}: must hold fields such as 'classes: [background, nucleus]'"
        return Declaration(), [Problem(Sort.DECLARATION, line)], []
    declaration, found = _declared(path.name, {key: value for key, value in values.items() if value not in _NULLS})
    return declaration, [Problem(Sort.DECLARATION, f"{path.name}: {line}") for line in found], []


def _read_json(path: Path) -> tuple[Declaration, list[Problem], list[str]]:
    try:
        values = json.loads(_text(path))
    except (OSError, ValueError, RecursionError) as error:
        return Declaration(), [], [f"{path.name} was left out: no readable JSON: {_reason(error)}"]
    if not isinstance(values, dict) or not isinstance(values.get("classes"), list):
        return Declaration(), [], [f"{path.name} was left out: it has no list of classes"]
    declaration, found = _declared(path.name, {key: values[key] for key in _JSON_FIELDS if key in values})
    return declaration, [Problem(Sort.DECLARATION, f"{path.name}: {line}") for line in found], []


def _text(path: Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"larger than {_MOST_BYTES >> 20} MiB")
    return path.read_text(encoding="utf-8")


def _reason(error: Exception) -> str:
    return printable(" ".join(str(error).split()))[:200]


def _declared(source: str, values: dict[Any, Any]) -> tuple[Declaration, list[str]]:
    found = [
        f"unknown field '{printable(field)}'; {did_you_mean(str(field), _FIELDS)}"
        for field in values
        if field not in _FIELDS
    ]
    classes = _classes(values.get("classes"), found)
    classes, mask_values = _mask_values(values.get("mask_values"), classes, found)
    declaration = Declaration(
        source=source,
        name=_name(values.get("name"), found),
        classes=classes,
        ignore_index=_number("ignore_index", values.get("ignore_index"), 0, MOST_MASK_VALUE, found),
        in_channels=_number("in_channels", values.get("in_channels"), 1, 4096, found),
        mask_values=mask_values,
        splits=_splits(values.get("splits"), found),
    )
    _check_ignored(declaration, found)
    return declaration, found


def _name(value: object, found: list[str]) -> str | None:
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    found.append(f"name is {_short(value)}; it must be a text")
    return None


def _number(field: str, value: object, least: int, most: int, found: list[str]) -> int | None:
    if value is None or (_is_number(value) and least <= int(str(value)) <= most):
        return None if value is None else int(str(value))
    found.append(f"{field} is {_short(value)}; it must be a whole number from {least} to {most}")
    return None


def _classes(value: object, found: list[str]) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        found.append(f"classes is {_short(value)}; it must be a list of names, as [background, nucleus]")
        return None
    if not 2 <= len(value) <= MAX_CLASSES:
        found.append(f"classes has {len(value)} names; from 2 to {MAX_CLASSES} are possible, background included")
        return None
    repeated = sorted({name for name in value if value.count(name) > 1})
    if repeated:
        found.append(f"classes names {', '.join(map(printable, repeated))} more than once")
        return None
    return tuple(value)


def _mask_values(
    value: object, classes: tuple[str, ...] | None, found: list[str]
) -> tuple[tuple[str, ...] | None, tuple[tuple[int, int], ...] | None]:
    """The classes, in the order of the values where no list names them, and the values' class indices."""
    if value is None:
        return classes, None
    if not isinstance(value, dict) or not value or not all(map(_is_meaning, value, value.values())):
        found.append(f"mask_values is {_short(value)}; it must be as {{0: background, 255: nucleus}}")
        return classes, None
    meanings = {int(key): name for key, name in value.items()}
    names = classes or tuple(dict.fromkeys(meanings[key] for key in sorted(meanings)))
    unknown = [name for name in meanings.values() if name not in names]
    found += [f"mask_values: unknown class '{printable(name)}'; {did_you_mean(name, names)}" for name in unknown]
    if unknown:
        return classes, None
    if not 2 <= len(names) <= MAX_CLASSES:
        found.append(f"mask_values names {len(names)} classes; from 2 to {MAX_CLASSES} are possible")
        return classes, None
    return names, tuple((key, names.index(name)) for key, name in sorted(meanings.items()))


def _splits(value: object, found: list[str]) -> tuple[tuple[str, tuple[str, ...]], ...] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        found.append(f"splits is {_short(value)}; it must be as {{train: [a, b], val: ['c*'], test: [d]}}")
        return None
    splits = []
    for split, patterns in value.items():
        listed = [patterns] if isinstance(patterns, str) else patterns
        if split not in SPLITS:
            found.append(f"splits: unknown split '{printable(split)}'; {did_you_mean(str(split), SPLITS)}")
        elif not isinstance(listed, list) or not all(_is_stem(stem) for stem in listed):
            found.append(f"splits: {split} is {_short(patterns)}; it must be a list of file names without endings")
        else:
            found += [
                f"splits: {split}: '{printable(stem)}' leaves the folder; give names of files only"
                for stem in map(str, listed)
                if "/" in stem or "\\" in stem or stem in (".", "..")
            ]
            splits.append((split, tuple(map(str, listed))))
    return tuple(splits) or None


def _check_ignored(declaration: Declaration, found: list[str]) -> None:
    ignored = declaration.ignore_index
    taken = dict(declaration.mask_values or ())
    if declaration.mask_values is None and declaration.classes:
        taken = {index: index for index in range(len(declaration.classes))}
    if ignored in taken and declaration.classes:
        name = printable(declaration.classes[taken[ignored]])
        found.append(
            f"ignore_index is {ignored}, which is also the class '{name}'; give one of them another value"
        )


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,9}", str(value)) is not None


def _is_meaning(key: object, name: object) -> bool:
    return _is_number(key) and int(str(key)) <= MOST_MASK_VALUE and isinstance(name, str) and bool(name.strip())


def _is_stem(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _short(value: object) -> str:
    return printable(reprlib.repr(value))
