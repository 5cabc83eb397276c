"""What ``dataset.yaml`` says of classes that may overlap: which there are, and where the masks of each lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas_attn.data.fields import ByClass
from nas_attn.data.layout import ClassPlaces, Places
from nas_attn.data.listing import SPLITS
from nas_attn.data.problem import printable
from nas_attn.errors import did_you_mean
from nas_attn.label_sets import MOST_OVERLAPPING

Names = tuple[str, ...]
_OF_INDICES = ("mask_values", "mask_colors")


def overlapping_classes(classes: Names | None, masks: Places | ByClass | None) -> Names | None:
    """The names as listed, or else in the order in which the masks' places name them."""
    if classes is not None or not isinstance(masks, ByClass):
        return classes
    return tuple(name for name, _ in masks.places)


def places_in_order(masks: Places | ByClass | None, classes: Names | None) -> ClassPlaces:
    """Where the masks of each class lie, in the order of the classes; nothing where a mask holds all of them."""
    if not isinstance(masks, ByClass):
        return ()
    of_class = dict(masks.places)
    return tuple((name, of_class[name]) for name in classes or () if name in of_class)


def overlap_problems(
    classes: Names | None,
    masks: Places | ByClass | None,
    multi_label: bool,
    ways: Sequence[str],
    ignored: int | None,
) -> Iterator[tuple[str, str]]:
    """What of it does not go together, as (field, problem) pairs.

    Args:
        classes: as listed, or as the masks' places name them.
        masks: where they are.
        multi_label: whether classes may overlap.
        ways: the fields that say how masks are read.
        ignored: value of ignored pixels.
    """
    if not multi_label:
        if isinstance(masks, ByClass):
            line = f"'{printable(masks.places[0][0])}' is no split; splits are {', '.join(SPLITS)}"
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
    for way in ways:
        if way in _OF_INDICES:
            yield way, "is for masks in which a pixel has one class; take it away, or multi_label"
    if ignored == 0:
        yield "ignore_index", "0 says that a pixel has not the class; ignored pixels need another value"
    yield from _misnamed(classes or (), masks)


def _misnamed(classes: Names, masks: Places | ByClass | None) -> Iterator[tuple[str, str]]:
    """Classes that are listed and have no masks, and masks of classes that are not listed."""
    if not isinstance(masks, ByClass):
        return
    placed = [name for name, _ in masks.places]
    for name in placed:
        if name not in classes:
            yield "masks", f"unknown class '{printable(name)}'; {did_you_mean(name, classes)}"
    if lacking := [name for name in classes if name not in placed]:
        yield "masks", f"no place for the masks of {', '.join(map(printable, lacking))}; name one for each class"
