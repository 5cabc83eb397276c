"""The meaning of mask values: the class of each value, and which classes occur in the masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas_attn.data.dataset import IGNORED, MAX_CLASSES
from nas_attn.data.declaration import YAML_NAME, Declaration
from nas_attn.data.examine import Examined
from nas_attn.data.overlapping import Overlapping
from nas_attn.data.problem import Problem, Sort, first_few, printable
from nas_attn.data.raster import Values

_VALUES_SHOWN = 10
_BINARY = {0, 255}
_LEAST_IMAGES = 4
_LEAST_OBJECTS = 6
_LEAST_COUNTS = 3
_MANY = 32
_RARE = 0.25


@dataclass(frozen=True)
class Meaning:
    """The meaning of the values of all masks of a data set.

    Args:
        classes: names in the order of their indices.
        indices: (value in the mask files, class index) pairs.
        ignore_index: value of ignored pixels; None if there is none.
    """

    classes: tuple[str, ...]
    indices: tuple[tuple[int, int], ...]
    ignore_index: int | None
    multi_label = False

    def translate(self, mask: Values) -> npt.NDArray[np.uint8]:
        """A mask of class indices, 255 where ignored; all values must be known."""
        table = np.full(65536, IGNORED, dtype=np.uint8)
        for value, index in self.indices:
            table[value] = index
        return table[mask]

    def count(self, counts: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], int]:
        """Numbers of pixels of each class, and of ignored ones; unknown values are left out."""
        of_value, indices = dict(counts), dict(self.indices)
        pixels = [0] * len(self.classes)
        for value, index in indices.items():
            pixels[index] += of_value.get(value, 0)
        return tuple(pixels), 0 if self.ignore_index is None else of_value.get(self.ignore_index, 0)

    def labelled(self, counts: Iterable[tuple[int, int]]) -> int:
        """Number of pixels of all classes."""
        return sum(self.count(counts)[0])


def find_meaning(
    examined: Sequence[Examined], declaration: Declaration
) -> tuple[Meaning | Overlapping | None, list[Problem], list[str]]:
    """The meaning as declared, or as inferred from the values; None if it cannot be inferred.

    Without a declaration, 0 and 255 are background and foreground, and 0..K-1 are K classes. Only the training
    masks are used for this.
    """
    training = _of_split(examined, "train")
    values = {value for each in training for value, _ in each.counts}
    if declaration.multi_label:
        return _overlapping(examined, declaration)
    if declaration.classes is not None:
        meaning, notes = _declared(declaration, declaration.classes, values)
    else:
        ignored = declaration.ignore_index
        if _look_like_objects(training, ignored):
            return None, [Problem(Sort.CLASSES, _objects(values - {ignored}))], []
        inferred, line = _inferred(values - {ignored}, ignored)
        if inferred is None:
            return None, [Problem(Sort.CLASSES, f"{line}{_rarest(training)}")] if training else [], []
        meaning = inferred
        notes = [f"classes were inferred from the values of the training masks; name them in {YAML_NAME}"]
    hint = ""
    if meaning.ignore_index == 255 and values <= _BINARY:
        hint = "; 255 is ignored: remove ignore_index if 255 is a class"
    found = [*_strangers(examined, meaning), *_untrained(training, meaning, hint), *_unjudged(examined, meaning)]
    for split in ("val", "test"):
        chosen = _of_split(examined, split)
        blank = [f"every pixel of the {split} masks is ignored"]
        notes += blank if _is_blank(chosen, meaning) else _unmeasured(chosen, meaning, split)
    return meaning, found, notes


def _overlapping(
    examined: Sequence[Examined], declaration: Declaration
) -> tuple[Overlapping | None, list[Problem], list[str]]:
    """The meaning if classes may overlap."""
    if declaration.classes is None:
        return None, [], []
    meaning, training = Overlapping(declaration.classes, declaration.ignore_index), _of_split(examined, "train")
    found = _untrained(training, meaning)
    notes = [*_lacking(examined, meaning.classes), *_apart(training)]
    for split in ("val", "test"):
        chosen = _of_split(examined, split)
        line = f"the {split} masks hold no class: nothing can be compared there"
        if not _is_blank(chosen, meaning):
            notes += _unmeasured(chosen, meaning, split)
        elif split == "val":
            found.append(Problem(Sort.CLASSES, f"{line}; label some"))
        else:
            notes.append(line)
    return meaning, found, notes


def _declared(declaration: Declaration, classes: tuple[str, ...], values: set[int]) -> tuple[Meaning, list[str]]:
    indices = declaration.mask_values or tuple((index, index) for index in range(len(classes)))
    notes = []
    binary = declaration.mask_values is None and len(classes) == 2 and values == _BINARY
    if binary and declaration.ignore_index != 255:
        indices = ((0, 0), (255, 1))
        notes.append(f"mask value 255 is read as class 1, {printable(classes[1])}")
    return Meaning(classes, indices, declaration.ignore_index), notes


def _look_like_objects(training: Sequence[Examined], ignored: int | None) -> bool:
    """Whether the values look like numbers of objects.

    Objects are numbered from 1 in each image, so an image has the values 1 to its number of objects, and these
    numbers differ between images, while classes have gaps. Or there are very many values, most of them in few
    images.

    Args:
        training: the training images.
        ignored: value of ignored pixels; None for none.
    """
    held = [{value for value, _ in each.counts} - {0, ignored} for each in training]
    values = set().union(*held)
    if len(held) < _LEAST_IMAGES or len(values) < _LEAST_OBJECTS:
        return False
    counted = {len(of_image) for of_image in held if of_image}
    numbered = all(of_image == set(range(1, len(of_image) + 1)) for of_image in held)
    if numbered and len(counted) >= _LEAST_COUNTS:
        return True
    rare = sum(sum(value in of_image for of_image in held) <= max(1, _RARE * len(held)) for value in values)
    return len(values) >= _MANY and rare > len(values) / 2


def _objects(values: set[int]) -> str:
    return (
        f"the values of the training masks, {_listed(values)}, look like numbers of objects, not of classes: "
        f"'instances: true' in {YAML_NAME} makes all objects one class; if they are classes, name them, "
        f"as classes: [background, cell], {MAX_CLASSES} at most"
    )


def _inferred(values: set[int], ignore_index: int | None) -> tuple[Meaning | None, str]:
    """The meaning of undeclared values, or why they have none."""
    shown = _listed(values)
    if values == _BINARY:
        return Meaning(("background", "foreground"), ((0, 0), (255, 1)), ignore_index), ""
    if len(values) < 2:
        return None, f"the training masks hold only the value {shown}; at least two classes are needed"
    if values - {255} == set(range(len(values) - 1)) and 255 in values:
        return None, (
            f"the training masks hold the values {shown}; if 255 marks pixels to ignore, "
            f"write 'ignore_index: 255' into {YAML_NAME}"
        )
    if len(values) > MAX_CLASSES:
        return None, (
            f"the training masks hold {len(values)} values, {shown}; at most {MAX_CLASSES} classes are possible; "
            f"if they number objects, 'instances: true' in {YAML_NAME} makes these one class"
        )
    if values != set(range(len(values))):
        return None, (
            f"the training masks hold the values {shown}; class indices run from 0 without a gap; "
            f"if the values are meant, name them in {YAML_NAME}, as mask_values: {{0: background, 128: nucleus}}"
        )
    names: tuple[str, ...] = ("background", "foreground")
    if len(values) > 2:
        names = ("background", *(f"class{index}" for index in range(1, len(values))))
    return Meaning(names, tuple((index, index) for index in range(len(values))), ignore_index), ""


def _of_split(examined: Sequence[Examined], split: str) -> list[Examined]:
    return [each for each in examined if each.pair.split == split]


def _rarest(training: Sequence[Examined]) -> str:
    """A hint at the mask with an unusual value, if it occurs in a single file."""
    files: dict[int, list[Examined]] = {}
    for each in training:
        for value, _ in each.counts:
            files.setdefault(value, []).append(each)
    alone = {value: holders[0] for value, holders in files.items() if len(holders) == 1}
    if len(training) < 2 or not alone or len(alone) == len(files):
        return ""
    value = max(alone)
    return (
        f"; only {printable(alone[value].pair.mask)} holds {_listed(v for v in alone if alone[v] is alone[value])}"
    )


def _strangers(examined: Iterable[Examined], meaning: Meaning) -> list[Problem]:
    known = {value for value, _ in meaning.indices} | {meaning.ignore_index}
    return [
        Problem(
            Sort.MASK_VALUE,
            f"{printable(each.pair.mask)}: {_outside(strange)} {_choice(meaning)}; values found: "
            f"{_listed(value for value, _ in each.counts)}",
        )
        for each in examined
        if (strange := [value for value, _ in each.counts if value not in known])
    ]


def _outside(values: Sequence[int]) -> str:
    return f"value {values[0]} is outside" if len(values) == 1 else f"values {_listed(values)} are outside"


def _choice(meaning: Meaning) -> str:
    pairs = [f"{value} {printable(meaning.classes[index])}" for value, index in meaning.indices[:_VALUES_SHOWN]]
    more = len(meaning.indices) - len(pairs)
    pairs += [f"and {more} more"] if more else []
    pairs += [f"{meaning.ignore_index} ignored"] if meaning.ignore_index is not None else []
    return f"the {len(meaning.classes)} classes ({', '.join(pairs)})"


def _absent(examined: Sequence[Examined], meaning: Meaning | Overlapping) -> list[str]:
    """The classes that occur in no mask; empty if there is no mask."""
    totals = map(sum, zip(*(meaning.count(each.counts)[0] for each in examined), strict=True))
    return [name for name, total in zip(meaning.classes, totals, strict=False) if total == 0]


def _is_blank(chosen: Sequence[Examined], meaning: Meaning | Overlapping) -> bool:
    """Whether there are masks, but none of them contains any class."""
    return bool(chosen) and len(_absent(chosen, meaning)) == len(meaning.classes)


def _untrained(training: Sequence[Examined], meaning: Meaning | Overlapping, hint: str = "") -> list[Problem]:
    return [
        Problem(Sort.CLASSES, f"class '{printable(name)}' is absent from all training masks{hint}")
        for name in _absent(training, meaning)
    ]


def _unmeasured(chosen: Sequence[Examined], meaning: Meaning | Overlapping, split: str) -> list[str]:
    return [
        f"class '{printable(name)}' does not occur in {split}; the mean there is without it"
        for name in _absent(chosen, meaning)
    ]


def _unjudged(examined: Sequence[Examined], meaning: Meaning) -> list[Problem]:
    """Validation masks in which all pixels are ignored."""
    if meaning.ignore_index is None or not _is_blank(_of_split(examined, "val"), meaning):
        return []
    line = f"every pixel of the val masks is ignored ({meaning.ignore_index}): nothing can be compared; label some"
    return [Problem(Sort.CLASSES, line)]


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
    """That no pixel has two classes, so that ordinary masks would be enough."""
    codes = {code for each in training for code, _ in each.counts} - {IGNORED}
    if not codes or any(code & (code - 1) for code in codes):
        return []
    return [
        "no pixel of the training masks has two classes: masks of class indices, and a softmax over the classes, "
        "would do"
    ]


def _listed(values: Iterable[int]) -> str:
    return first_few(sorted(values), _VALUES_SHOWN)
