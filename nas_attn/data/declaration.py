"""What ``dataset.yaml`` says about a folder: where files are, classes, splits, what mask values mean."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from nas_attn.data.dataset import IGNORED, MAX_CLASSES
from nas_attn.data.fields import (
    COLOURS,
    EXPRESSION,
    IGNORED_COLOUR,
    MASK_PLACES,
    NUMBER,
    PLACES,
    SUFFIX,
    SWITCH,
    ByClass,
    is_number,
    short,
)
from nas_attn.data.layout import Layout, Places
from nas_attn.data.listing import SPLITS
from nas_attn.data.mask_reading import MaskReading
from nas_attn.data.nnunet import declared_by_nnunet
from nas_attn.data.overlap_fields import overlap_problems, overlapping_classes, places_in_order
from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.data.reach import is_file
from nas_attn.document import Entry, FileKind, Problems, Read, parse_document, read_sound, read_text
from nas_attn.errors import DataError, did_you_mean
from nas_attn.names import name_problem

YAML_NAME, JSON_NAME = "dataset.yaml", "dataset.json"
MOST_MASK_VALUE = 65535
_JSON_FIELDS = ("name", "classes", "ignore_index", "in_channels")
_WAYS = ("mask_values", "mask_colors", "threshold", "instances")
_NULLS = ("", "~", "null")
_MOST_BYTES = 4 << 20
_KIND = FileKind(
    "a declaration",
    "classes: [background, nucleus]",
    DataError,
    most_values=_MOST_BYTES,
    most_bytes=_MOST_BYTES,
    is_typed=False,  # else the stem 0017 would be 15, and the class 'no' false
)


def _whole(least: int, most: int) -> Read:
    right = f"a whole number from {least} to {most}"

    def read(value: object) -> int:
        if is_number(value) and least <= int(str(value)) <= most:
            return int(str(value))
        raise ValueError(f"{short(value)} must be {right}")

    return Read(read, right)


def _named(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{short(value)} must be a text")
    if problem := name_problem(value):
        raise ValueError(problem)
    return value


def _listed(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise ValueError(f"{short(value)} must be a list of names, as [background, nucleus]")
    if repeated := sorted({name for name in value if value.count(name) > 1}):
        raise ValueError(f"names {', '.join(map(printable, repeated))} more than once")
    return _classes(tuple(value))


def _classes(names: tuple[str, ...]) -> tuple[str, ...]:
    if not 2 <= len(names) <= MAX_CLASSES:
        raise ValueError(f"{len(names)} names; from 2 to {MAX_CLASSES} are possible, background included")
    if unfit := [f"the class {problem}" for name in names if (problem := name_problem(name))]:
        raise ValueError("; ".join(unfit))  # told here rather than by an export, after the search
    return names


def _meanings(value: object) -> dict[int, str]:
    if not isinstance(value, dict) or not value or not all(map(_is_meaning, value, value.values())):
        raise ValueError(f"{short(value)} must be as {{0: background, 255: nucleus}}")
    meanings = {int(key): name for key, name in value.items()}
    if len(meanings) < len(value):
        raise ValueError("a value is given twice, such as 1 and 01; keep one of them")
    return meanings


def _stems(value: object) -> tuple[str, ...]:
    stems = [value] if isinstance(value, str) else value
    if not isinstance(stems, list) or not all(isinstance(stem, str) and stem for stem in stems):
        raise ValueError(f"{short(value)} must be a list of file names without endings")
    return tuple(stems)


_Stems = Annotated[tuple[str, ...], Read(_stems, "a list of file names without endings")]


@dataclass(frozen=True)
class _Splits:
    train: _Stems | None = None
    val: _Stems | None = None
    test: _Stems | None = None


@dataclass(frozen=True)
class _Written:
    """The fields of the file."""

    name: Annotated[str, Read(_named, "text")] | None = None
    classes: Annotated[tuple[str, ...], Read(_listed, "a list of names")] | None = None
    ignore_index: Annotated[int, _whole(0, MOST_MASK_VALUE)] | None = None
    in_channels: Annotated[int, _whole(1, 4096)] | None = None
    mask_values: (
        Annotated[dict[int, str], Read(_meanings, "a mapping as {0: background, 255: nucleus}")] | None
    ) = None
    splits: _Splits | None = None
    images: Annotated[Places, PLACES] | None = None
    masks: Annotated[Places | ByClass, MASK_PLACES] | None = None
    multi_label: Annotated[bool, SWITCH] | None = None
    image_suffix: Annotated[str, SUFFIX] | None = None
    mask_suffix: Annotated[str, SUFFIX] | None = None
    mask_colors: Annotated[dict[str, tuple[tuple[int, int, int], ...]], COLOURS] | None = None
    color_tolerance: Annotated[int, _whole(0, 255)] | None = None
    threshold: Annotated[float, NUMBER] | None = None
    instances: Annotated[bool, SWITCH] | None = None
    clips: Annotated[bool, SWITCH] | None = None
    image_key: Annotated[str, SUFFIX] | None = None
    mask_key: Annotated[str, SUFFIX] | None = None
    group: Annotated[str, EXPRESSION] | None = None


@dataclass(frozen=True)
class Declaration:
    """What the user says of a data set; whatever is None is found out from the files.

    Args:
        source: name of the file that said it; empty where none did.
        document: what that file holds.
        name: of the data set.
        classes: names in the order of their indices.
        ignore_index: mask value of pixels that count for nothing.
        in_channels: C of the images.
        mask_values: (value in the mask files, class index) pairs.
        splits: (split, stems or patterns) pairs.
        layout: where the files are and how their names belong together.
        reading: how the values of mask files become class values.
        image_key: of the image in a .npz file; empty where it holds one array.
        multi_label: whether classes may overlap: each has a mask of its own, or a channel of the mask.
    """

    source: str = ""
    document: Entry = field(default_factory=lambda: Entry("", 0, {}))
    name: str | None = None
    classes: tuple[str, ...] | None = None
    ignore_index: int | None = None
    in_channels: int | None = None
    mask_values: tuple[tuple[int, int], ...] | None = None
    splits: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    layout: Layout = field(default_factory=Layout)
    reading: MaskReading = field(default_factory=MaskReading)
    image_key: str = ""
    multi_label: bool = False

    def place(self, *names: str) -> str:
        """``dataset.yaml: line 3``: where what the fields of these names hold is written."""
        entry = self.document
        for name in names:
            entry = entry.fields.get(name, entry)
        return f"{self.source}: line {entry.line}"


Declared = tuple[Declaration, list[Problem], list[str]]
"""What was declared, what is wrong with it, and notes."""


def read_declaration(folder: Path) -> Declared:
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


def _read_yaml(path: Path) -> Declared:
    try:
        text = read_text(path, _KIND, where=path.name)
    except DataError as error:
        return Declaration(), [Problem(Sort.DECLARATION, line) for line in error.problems], []
    return declared_by(text)


def declared_by(text: str) -> Declared:
    """What a text says, as if it were that of ``dataset.yaml``."""
    problems = Problems(YAML_NAME, _KIND)
    try:
        document = parse_document(text, problems)
    except DataError as error:
        return Declaration(), [Problem(Sort.DECLARATION, line) for line in error.problems], []
    given = {name: entry for name, entry in document.fields.items() if entry.value not in _NULLS}
    document = replace(document, value=given) if isinstance(document.value, dict) else document
    return *_declared(document, problems), []


def _read_json(path: Path) -> Declared:
    try:
        values = json.loads(read_text(path, _KIND, where=path.name))
    except (DataError, ValueError, RecursionError) as error:
        reason = printable(" ".join(str(error).split()))[:200]
        return Declaration(), [], [f"{path.name} was left out: no readable JSON: {reason}"]
    if isinstance(values, dict) and (known := declared_by_nnunet(path.parent, values)):
        return *_declared(Entry.of(known), Problems(path.name, _KIND)), []
    if not isinstance(values, dict) or not isinstance(values.get("classes"), list):
        return Declaration(), [], [f"{path.name} was left out: it has no list of classes"]
    known = {name: values[name] for name in _JSON_FIELDS if values.get(name) is not None}
    return *_declared(Entry.of(known), Problems(path.name, _KIND)), []


def _declared(document: Entry, problems: Problems) -> tuple[Declaration, list[Problem]]:
    written = _Written(**read_sound(document, _Written, problems))
    classes, mask_values = _meaning(written, document, problems)
    splits = written.splits and tuple(
        (split, stems) for split in SPLITS if (stems := getattr(written.splits, split)) is not None
    )
    declaration = Declaration(
        source=problems.where,
        document=document,
        name=written.name,
        classes=classes,
        ignore_index=IGNORED if IGNORED_COLOUR in (written.mask_colors or ()) else written.ignore_index,
        in_channels=written.in_channels,
        mask_values=mask_values,
        splits=splits or None,
        layout=_layout(written),
        reading=_reading(written, classes),
        image_key=written.image_key or "",
        multi_label=bool(written.multi_label),
    )
    _check_readings(written, document, problems)
    _check_overlaps(written, document, problems)
    _check_ignored(declaration, problems)
    _check_splits(declaration, problems)
    return declaration, [Problem(Sort.DECLARATION, line) for line in problems.lines]


def _meaning(
    written: _Written, document: Entry, problems: Problems
) -> tuple[tuple[str, ...] | None, tuple[tuple[int, int], ...] | None]:
    """The classes, in the order of the values where no list names them, and the values' class indices."""
    meanings, names = written.mask_values, written.classes
    if names is None and written.mask_colors is not None:
        names = tuple(name for name in written.mask_colors if name != IGNORED_COLOUR)
        try:
            _classes(names)
        except ValueError as error:
            problems.add(document.fields["mask_colors"], str(error))
    if written.multi_label or isinstance(written.masks, ByClass):
        return overlapping_classes(names, written.masks), None
    if names is None and (written.threshold is not None or written.instances):
        names = ("background", "foreground")
    if meanings is None:
        return names, None
    entry = document.fields["mask_values"]
    if names is None:
        names = tuple(dict.fromkeys(meanings[key] for key in sorted(meanings)))
        try:
            _classes(names)
        except ValueError as error:
            problems.add(entry, str(error))
    for meaning in entry.fields.values():
        if meaning.value not in names:
            name = str(meaning.value)
            problems.add(meaning, f"unknown class '{printable(name)}'; {did_you_mean(name, names)}")
    return names, tuple((key, names.index(name)) for key, name in sorted(meanings.items()) if name in names)


def _layout(written: _Written) -> Layout:
    images = written.images or Layout.images
    beside = images if written.mask_key and not written.masks else Layout.masks  # one file holds both
    return Layout(
        images=images,
        masks=beside if written.masks is None or isinstance(written.masks, ByClass) else written.masks,
        of_classes=places_in_order(written.masks, overlapping_classes(written.classes, written.masks)),
        image_suffix=written.image_suffix or "",
        mask_suffix=written.mask_suffix,
        clips=written.clips,
        merges=bool(written.instances),
        group=written.group or "",
    )


def _reading(written: _Written, classes: tuple[str, ...] | None) -> MaskReading:
    values = {name: index for index, name in enumerate(classes or ())} | {IGNORED_COLOUR: IGNORED}
    colours = [(colour, name) for name, given in (written.mask_colors or {}).items() for colour in given]
    return MaskReading(
        colours=tuple((colour, values[name]) for colour, name in colours if name in values),
        tolerance=written.color_tolerance or 0,
        threshold=written.threshold,
        instances=bool(written.instances),
        ignored=written.ignore_index,
        key=written.mask_key or "",
    )


def _check_readings(written: _Written, document: Entry, problems: Problems) -> None:
    """A mask is read in one way."""
    ways = [name for name in _WAYS if getattr(written, name) not in (None, False)]
    for name in ways[1:]:
        problems.add(document.fields[name], f"{ways[0]} says already how masks are read; give one of the two")
    for name in () if written.multi_label else ("threshold", "instances"):
        if name in ways and written.classes is not None and len(written.classes) != 2:
            problems.add(document.fields[name], f"gives two classes, and classes names {len(written.classes)}")
    if written.color_tolerance is not None and written.mask_colors is None:
        problems.add(document.fields["color_tolerance"], "needs mask_colors, which it widens")
    colours = document.fields.get("mask_colors")
    for name in written.mask_colors or ():
        known = (*(written.classes or ()), IGNORED_COLOUR)
        if written.classes is not None and name not in known and colours is not None:
            problems.add(colours, f"unknown class '{printable(name)}'; {did_you_mean(name, known)}")


def _check_overlaps(written: _Written, document: Entry, problems: Problems) -> None:
    """What is said of classes that may overlap goes together, and their names can be used."""
    classes = overlapping_classes(written.classes, written.masks)
    ways = [name for name in _WAYS if getattr(written, name) not in (None, False)]
    found = overlap_problems(classes, written.masks, bool(written.multi_label), ways, written.ignore_index)
    for name, problem in found:
        problems.add(document.fields[name], problem)
    if isinstance(written.masks, ByClass):
        for name, _ in written.masks.places:
            if unfit := name_problem(name):
                problems.add(document.fields["masks"], f"the class {unfit}")


def _check_ignored(declaration: Declaration, problems: Problems) -> None:
    ignored = declaration.ignore_index
    if declaration.multi_label:
        return
    taken = dict(declaration.mask_values or ())
    if declaration.mask_values is None and declaration.classes:
        taken = {index: index for index in range(len(declaration.classes))}
    if ignored in taken and declaration.classes:
        name = printable(declaration.classes[taken[ignored]])
        entry = declaration.document.fields["ignore_index"]
        problems.add(entry, f"{ignored} is also the class '{name}'; give one of them another value")


def _check_splits(declaration: Declaration, problems: Problems) -> None:
    for split, stems in declaration.splits or ():
        for stem in stems:
            if "/" in stem or "\\" in stem or stem in (".", ".."):
                entry = declaration.document.fields["splits"].fields[split]
                problems.add(entry, f"'{printable(stem)}' leaves the folder; give names of files only")


def _is_meaning(key: object, name: object) -> bool:
    return is_number(key) and int(str(key)) <= MOST_MASK_VALUE and isinstance(name, str) and bool(name.strip())
