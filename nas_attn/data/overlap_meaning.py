"""What the masks of classes that may overlap say: which classes occur, where, and whether they do overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nas_attn.data.dataset import IGNORED
from nas_attn.data.examine import Examined
from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.data.raster import Values
from nas_attn.label_sets import bit_of


@dataclass(frozen=True)
class Overlapping:
    """The meaning of masks whose values are sets of classes.

    Args:
        classes: names in the order of their indices.
        ignore_index: value in the mask files of pixels that count for nothing; None where there is none.
    """

    classes: tuple[str, ...]
    ignore_index: int | None
    multi_label = True

    def translate(self, mask: Values) -> Values:
        """The mask as it is."""
        return mask

    def count(self, counts: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], int]:
        """Pixels of each class, and ignored ones."""
        of_code = dict(counts)
        ignored = of_code.pop(IGNORED, 0)
        bits = (1 << bit_of(index) for index in range(len(self.classes)))
        return tuple(sum(number for code, number in of_code.items() if code & bit) for bit in bits), ignored

    def labelled(self, counts: Iterable[tuple[int, int]]) -> int:
        """Pixels that are not ignored."""
        return sum(number for code, number in counts if code != IGNORED)


def find_overlapping(
    examined: Sequence[Examined], classes: tuple[str, ...], ignore_index: int | None
) -> tuple[Overlapping, list[Problem], list[str]]:
    """The meaning of the masks, what is wrong with them, and notes."""
    meaning = Overlapping(classes, ignore_index)
    training = [each for each in examined if each.pair.split == "train"]
    found = [
        Problem(Sort.CLASSES, f"class '{printable(name)}' is absent from all training masks")
        for name in (_absent(training, meaning) if training else ())
    ]
    notes = [*_lacking(examined, classes), *_apart(training)]
    for split in ("val", "test"):
        chosen = [each for each in examined if each.pair.split == split]
        absent = _absent(chosen, meaning) if chosen else []
        if chosen and len(absent) == len(classes):
            line = f"the {split} masks hold no class: nothing can be compared there"
            found += [Problem(Sort.CLASSES, f"{line}; label some")] if split == "val" else []
            notes += [line] if split == "test" else []
            continue
        notes += [
            f"class '{printable(one)}' does not occur in {split}; the mean there is without it" for one in absent
        ]
    return meaning, found, notes


def _absent(examined: Iterable[Examined], meaning: Overlapping) -> list[str]:
    totals = np.zeros(len(meaning.classes), dtype=np.int64)
    for each in examined:
        totals += meaning.count(each.counts)[0]
    return [name for name, total in zip(meaning.classes, totals, strict=True) if not total]


def _lacking(examined: Sequence[Examined], classes: Sequence[str]) -> list[str]:
    """Images that have masks of some classes only."""
    by_class = [each for each in examined if each.pair.of_classes]
    counted = (
        (name, sum(index not in each.pair.of_classes for each in by_class)) for index, name in enumerate(classes)
    )
    return [
        f"{number} images have no mask of '{printable(name)}': the class is absent there"
        for name, number in counted
        if number
    ]


def _apart(training: Sequence[Examined]) -> list[str]:
    """That no pixel has two classes, so that plain masks would say the same."""
    codes = {code for each in training for code, _ in each.counts} - {IGNORED}
    if not codes or any(code & (code - 1) for code in codes):
        return []
    return [
        "no pixel of the training masks has two classes: masks of class indices, and a softmax over the classes, "
        "would do"
    ]
