"""The declaration of a folder in ``dataset.yaml``: places of files, classes, splits, meanings of mask values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from nas_attn.data.contradictions import report_contradictions
from nas_attn.data.dataset import IGNORED
from nas_attn.data.fields import IGNORED_COLOUR, ByClass, WrittenDeclaration, classes_problem
from nas_attn.data.layout import SPLITS, Layout
from nas_attn.data.mask_reading import MaskReading
from nas_attn.data.nnunet import declared_by_nnunet
from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.data.reach import is_file
from nas_attn.document import Entry, FileKind, Problems, parse_document, read_sound, read_text
from nas_attn.errors import DataError, did_you_mean

YAML_NAME, JSON_NAME = "dataset.yaml", "dataset.json"
_JSON_FIELDS = ("name", "classes", "ignore_index", "in_channels")
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


@dataclass(frozen=True)
class Declaration:
    """What the user declares about a data set. Everything that is None is inferred from the files.

    Args:
        source: name of the file with the declaration; empty if there is none.
        document: content of that file.
        name: of the data set.
        classes: names in the order of their indices.
        ignore_index: mask value of ignored pixels.
        in_channels: C of the images.
        mask_values: (value in the mask files, class index) pairs.
        splits: (split, stems or patterns) pairs.
        layout: where the files are, and how their names belong together.
        reading: how the values of mask files become class values.
        image_key: of the image in a .npz file; empty if it has a single array.
        multi_label: whether classes may overlap: each has its own mask, or its own channel of the mask.
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
        """``dataset.yaml: line 3``: where the fields of these names are written."""
        entry = self.document
        for name in names:
            entry = entry.fields.get(name, entry)
        return f"{self.source}: line {entry.line}"


Declared = tuple[Declaration, list[Problem], list[str]]
"""The declaration, its problems, and notes."""


def read_declaration(folder: Path) -> Declared:
    """Read the declaration of a folder, its problems, and notes.

    ``dataset.yaml`` has priority. Without it, the classes, ignore_index, in_channels and name of a
    ``dataset.json`` are used, whose other fields may be anything.
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
    """The declaration in a text, as if it were that of ``dataset.yaml``."""
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
    written = WrittenDeclaration(**read_sound(document, WrittenDeclaration, problems))
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
    report_contradictions(written, declaration, problems)
    return declaration, [Problem(Sort.DECLARATION, line) for line in problems.lines]


def _meaning(
    written: WrittenDeclaration, document: Entry, problems: Problems
) -> tuple[tuple[str, ...] | None, tuple[tuple[int, int], ...] | None]:
    """The classes, in the order of their values unless a list names them, and the class indices of the values."""
    meanings, names = written.mask_values, written.classes
    if names is None and written.mask_colors is not None:
        names = tuple(name for name in written.mask_colors if name != IGNORED_COLOUR)
        if problem := classes_problem(names):
            problems.add(document.fields["mask_colors"], problem)
    if written.multi_label or written.class_places:
        return written.named_classes if names is None else names, None
    if names is None and (written.threshold is not None or written.instances):
        names = ("background", "foreground")
    if meanings is None:
        return names, None
    entry = document.fields["mask_values"]
    if names is None:
        names = tuple(dict.fromkeys(meanings[key] for key in sorted(meanings)))
        if problem := classes_problem(names):
            problems.add(entry, problem)
    for meaning in entry.fields.values():
        if meaning.value not in names:
            name = str(meaning.value)
            problems.add(meaning, f"unknown class '{printable(name)}'; {did_you_mean(name, names)}")
    return names, tuple((key, names.index(name)) for key, name in sorted(meanings.items()) if name in names)


def _layout(written: WrittenDeclaration) -> Layout:
    images, of_class = written.images or Layout.images, dict(written.class_places)
    beside = images if written.mask_key and not written.masks else Layout.masks  # one file holds both
    return Layout(
        images=images,
        masks=beside if written.masks is None or isinstance(written.masks, ByClass) else written.masks,
        of_classes=tuple((name, of_class[name]) for name in written.named_classes or () if name in of_class),
        image_suffix=written.image_suffix or "",
        mask_suffix=written.mask_suffix,
        clips=written.clips,
        merges=bool(written.instances),
        group=written.group or "",
    )


def _reading(written: WrittenDeclaration, classes: tuple[str, ...] | None) -> MaskReading:
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
