"""Contradictions between fields of ``dataset.yaml`` that are valid by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nas_attn.data.fields import IGNORED_COLOUR, Names, WrittenDeclaration
from nas_attn.data.layout import SPLITS
from nas_attn.data.overlapping import MOST_OVERLAPPING
from nas_attn.data.problem import printable
from nas_attn.document import Problems
from nas_attn.errors import did_you_mean
from nas_attn.printable import name_problem

if TYPE_CHECKING:
    from nas_attn.data.declaration import Declaration

_OF_INDICES = ("mask_values", "mask_colors")

_Found = Iterator[tuple[str, str]]
"""(field, problem) pairs."""


def report_contradictions(written: WrittenDeclaration, declaration: Declaration, problems: Problems) -> None:
    """Add contradictions to the problems.

    Args:
        written: the fields of the file.
        declaration: their interpretation.
        problems: of the file.
    """
    fields = declaration.document.fields
    for found in (_readings(written), _overlaps(written), _unfit_names(written), _ignored(declaration)):
        for name, problem in found:
            problems.add(fields[name], problem)
    for split, stems in declaration.splits or ():
        for stem in stems:
            if "/" in stem or "\\" in stem or stem in (".", ".."):
                problem = f"'{printable(stem)}' points outside the folder; give names of files only"
                problems.add(fields["splits"].fields[split], problem)


def _readings(written: WrittenDeclaration) -> _Found:
    """Masks can be read in one way only."""
    for name in written.ways[1:]:
        yield name, f"{written.ways[0]} already says how masks are read; give only one of the two"
    for name in () if written.multi_label else ("threshold", "instances"):
        if name in written.ways and written.classes is not None and len(written.classes) != 2:
            yield name, f"gives two classes, and classes names {len(written.classes)}"
    if written.color_tolerance is not None and written.mask_colors is None:
        yield "color_tolerance", "needs mask_colors, which it widens"
    known = (*(written.classes or ()), IGNORED_COLOUR)
    for name in written.mask_colors or ():
        if written.classes is not None and name not in known:
            yield "mask_colors", f"unknown class '{printable(name)}'; {did_you_mean(name, known)}"


def _overlaps(written: WrittenDeclaration) -> _Found:
    """Contradictions about classes that may overlap."""
    classes = written.named_classes
    if not written.multi_label:
        if written.class_places:
            line = f"'{printable(written.class_places[0][0])}' is not a split; splits are {', '.join(SPLITS)}"
            yield "masks", f"{line}; where it is a class with masks of its own, write 'multi_label: true' too"
        return
    if classes is None:
        line = (
            "needs the names of the classes: as masks: {vessel: masks/vessel, disc: masks/disc}, or as classes, "
            "in the order of the channels of each mask"
        )
        yield "multi_label", line
    elif not 2 <= len(classes) <= MOST_OVERLAPPING:
        line = f"{len(classes)} classes; from 2 to {MOST_OVERLAPPING} may overlap"
        yield "multi_label", f"{line}; a single one is class 1 of plain masks"
    for way in written.ways:
        if way in _OF_INDICES:
            yield way, "is for masks in which a pixel has one class; take it away, or multi_label"
    if written.ignore_index == 0:
        yield "ignore_index", "0 means that a pixel does not have the class; ignored pixels need another value"
    yield from _misnamed(classes or (), tuple(name for name, _ in written.class_places))


def _misnamed(classes: Names, placed: Names) -> _Found:
    """Listed classes without masks, and masks of classes that are not listed."""
    for name in placed:
        if name not in classes:
            yield "masks", f"unknown class '{printable(name)}'; {did_you_mean(name, classes)}"
    if placed and (lacking := [name for name in classes if name not in placed]):
        yield "masks", f"no place for the masks of {', '.join(map(printable, lacking))}; name one for each class"


def _unfit_names(written: WrittenDeclaration) -> _Found:
    """Class names in the places of masks that cannot be used."""
    for name, _ in written.class_places:
        if unfit := name_problem(name):
            yield "masks", f"the class {unfit}"


def _ignored(declaration: Declaration) -> _Found:
    """A value of ignored pixels that is also a class."""
    ignored, classes = declaration.ignore_index, declaration.classes
    if declaration.multi_label or not classes:
        return
    taken = dict(declaration.mask_values or ())
    if declaration.mask_values is None:
        taken = {index: index for index in range(len(classes))}
    if ignored in taken:
        name = printable(classes[taken[ignored]])
        yield "ignore_index", f"{ignored} is also the class '{name}'; give one of them another value"
