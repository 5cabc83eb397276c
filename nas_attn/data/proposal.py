"""Propose a ``dataset.yaml`` for a folder that only lacks a constant, such as a suffix or a threshold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas_attn.data.declaration import JSON_NAME, YAML_NAME, Declaration, declared_by
from nas_attn.data.folder import Survey, survey_folder
from nas_attn.data.listing import ListedFile
from nas_attn.data.mask_reading import counted_colours
from nas_attn.data.places import class_places, likely_places
from nas_attn.data.problem import Sort
from nas_attn.data.raster import Unreadable, read_raster
from nas_attn.data.reach import is_file

Fields = Mapping[str, Any]
_SAMPLE = 64
_MOST_STEPS = 6
_MOST_COLOURS = 32
_MOST_VALUES = 24
_AT_ENDS = 0.8
"""Share of the pixels of a grey mask of two classes that are near black and white; the others are its edges."""


def propose(folder: Path, longest_side: int | None = None) -> str | None:
    """The text of a ``dataset.yaml`` with which a folder has no problem; None if none is found.

    Args:
        folder: that has problems as it is.
        longest_side: as in ``read_folder``.
    """
    if is_file(folder / JSON_NAME) and not is_file(folder / YAML_NAME):
        return None  # what it says would no longer be read
    written = _written(folder)
    for fields in _starts(folder, written):
        found = _completed(folder, written, fields, longest_side)
        if found is not None:
            return found if found != written else None  # where nothing is needed
    return None


def added_lines(folder: Path, text: str) -> tuple[str, ...]:
    """The lines of a proposed text that the folder's own ``dataset.yaml`` lacks."""
    return tuple(text.removeprefix(_written(folder)).splitlines())


def _written(folder: Path) -> str:
    """The content of ``dataset.yaml``, ending with a line break; empty if there is none."""
    try:
        text = (folder / YAML_NAME).read_text("utf-8") if is_file(folder / YAML_NAME) else ""
    except (OSError, UnicodeDecodeError):
        return ""
    return text if not text or text.endswith("\n") else f"{text}\n"


def _starts(folder: Path, written: str) -> Iterator[Fields]:
    """First only the existing fields, then likely places."""
    yield {}
    declaration, wrong, _ = declared_by(written) if written else (Declaration(), [], [])
    if declaration.layout.is_usual and not wrong:
        yield from class_places(folder)
        yield from likely_places(folder)


def _completed(folder: Path, written: str, fields: Fields, longest_side: int | None) -> str | None:
    """Add one constant after the other until nothing is wrong, and return the text."""
    found = dict(fields)
    for _ in range(_MOST_STEPS):
        text = written + _text(found)
        declared = declared_by(text) if text else None
        survey = survey_folder(folder, longest_side, declared, most=_SAMPLE)
        if not survey.problems:
            whole = survey_folder(folder, longest_side, declared)
            return None if whole.problems else text
        new = next((more for cure in _CURES if (more := cure(survey)) and not more.keys() <= found.keys()), None)
        if new is None:
            return None
        found |= new
    return None


def _text(fields: Fields) -> str:
    """Fields as YAML, one per line; JSON is YAML."""
    return "".join(f"{name}: {_value(value)}\n" for name, value in fields.items())


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_value(name)}: {_value(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str) and not (value.replace("_", "a").replace("/", "a").isalnum() and value[0].isalpha()):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tells(survey: Survey, *words: str) -> bool:
    """Whether a problem contains all of the words."""
    return any(all(word in problem.line for word in words) for problem in survey.problems)


def _has(survey: Survey, sort: Sort) -> bool:
    return any(problem.sort is sort for problem in survey.problems)


def _stills(survey: Survey) -> Fields | None:
    """Folders that are not clips."""
    nested = _tells(survey, "unknown split folder") or _tells(survey, "is a folder, where an image file")
    clips = _tells(survey, "frames of one clip differ in size") or _tells(survey, "is a frame of a clip and")
    clips = clips or (_has(survey, Sort.PAIRING) and any(entry.clip for entry in survey.listing.images))
    return {"clips": False} if (nested or clips) and survey.declaration.layout.clips is None else None


def _suffixes(survey: Survey) -> Fields | None:
    """The suffixes of the names of images and masks after their common part."""
    if not _has(survey, Sort.PAIRING):
        return None
    listing, tails = survey.listing, Counter[tuple[str, str]]()
    masks: dict[tuple[str, str, str], list[str]] = {}
    for entry in listing.masks:
        masks.setdefault(_home(entry), []).append(entry.name)
    for entry in listing.images[:: max(1, len(listing.images) // _SAMPLE)]:
        tails.update(_tails(entry.name, masks.get(_home(entry), [])))
    if not tails:
        return None
    (image, mask), _ = tails.most_common(1)[0]
    found = {name: suffix for name, suffix in (("image_suffix", image), ("mask_suffix", mask)) if suffix}
    return found or None


def _home(entry: ListedFile) -> tuple[str, str, str]:
    return entry.split, entry.clip, entry.home


def _tails(image: str, masks: list[str]) -> set[tuple[str, str]]:
    """The rest of an image's name and of the mask's with the longest common beginning."""
    lengths = {mask: _shared(image, mask) for mask in masks}
    longest = max(lengths.values(), default=0)
    tails = {(image[longest:], mask[longest:]) for mask, length in lengths.items() if length == longest > 0}
    return {pair for pair in tails if not any(tail[:1].isalnum() for tail in pair)}


def _shared(one: str, other: str) -> int:
    """Length of the common beginning of both names, without a separator at its end."""
    pairs = enumerate(zip(one, other, strict=False))
    length = next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
    both_go_on = length < min(len(one), len(other))
    return length - 1 if both_go_on and length and not one[length - 1].isalnum() else length


def _instances(survey: Survey) -> Fields | None:
    """Numbers of objects, or one mask for each object."""
    objects = _tells(survey, "look like numbers of objects") or _tells(survey, "if they number objects")
    several = _tells(survey, "several masks")
    if _tells(survey, "mask without image", "no image is named"):
        several = several or any(entry.home for entry in survey.listing.masks)
    return {"instances": True} if objects or several else None


def _alpha(survey: Survey) -> Fields | None:
    """An alpha channel: dropped from PNG and the like, kept as a band of TIFF."""
    for entry in survey.listing.images if _tells(survey, "alpha channel that varies") else ():
        try:
            raster = read_raster(Path(survey.report.folder) / entry.path)
        except (Unreadable, OSError):
            continue
        if raster.has_alpha:
            number = raster.values.shape[2]
            return {"in_channels": number if entry.path.suffix.lower() in (".tif", ".tiff") else number - 1}
    return None


def _colours(survey: Survey) -> Fields | None:
    """The colours of masks, with the most frequent one as the background."""
    if not (_tells(survey, "coded in colours") or _has(survey, Sort.PALETTE)):
        return None
    counted: Counter[tuple[int, ...]] = Counter()
    for entry in survey.listing.masks:
        counted.update(_colours_of(Path(survey.report.folder) / entry.path))
        if len(counted) > _MOST_COLOURS:
            return None
    names = ["background", *(f"class{number}" for number in range(1, len(counted)))]
    ordered = [colour for colour, _ in counted.most_common()]
    return {"mask_colors": {name: list(colour) for name, colour in zip(names, ordered, strict=True)}}


def _colours_of(path: Path) -> Counter[tuple[int, ...]]:
    try:
        raster = read_raster(path)
    except (Unreadable, OSError):
        return Counter()
    values = raster.values
    if raster.palette is not None:
        values = raster.palette[values[..., 0].clip(0, len(raster.palette) - 1)]
    values = values[..., :3] if values.shape[2] >= 3 else np.repeat(values[..., :1], 3, axis=2)
    colours, counts = counted_colours(values)
    return Counter(dict(zip(map(tuple, colours.tolist()), counts.tolist(), strict=True)))


def _threshold(survey: Survey) -> Fields | None:
    """Grey masks of two classes with intermediate values from edges or compression."""
    if _tells(survey, "is compressed with loss") or _tells(survey, "the mask of a class has two"):
        return {"threshold": 127}
    counts = _counts(survey)
    if not _has(survey, Sort.CLASSES) or len(counts) <= 2 or max(counts) > 255:
        return None
    dark = sum(number for value, number in counts.items() if value <= 32)
    light = sum(number for value, number in counts.items() if value >= 223)
    both = min(dark, light) > 0 and dark + light >= _AT_ENDS * sum(counts.values())
    middle = any(32 < value < 223 for value in counts)
    return {"threshold": 127} if both and (middle or len(counts) > _MOST_VALUES) else None


def _values(survey: Survey) -> Fields | None:
    """Values with gaps, and 255 for ignored pixels."""
    if _tells(survey, "if 255 marks pixels to ignore"):
        return {"ignore_index": 255}
    counts = _counts(survey)
    if not _tells(survey, "class indices run from 0 without a gap") or not 2 <= len(counts) <= _MOST_VALUES:
        return None
    first, *others = sorted(counts)
    return {"mask_values": {first: "background"} | {value: f"class{value}" for value in others}}


def _counts(survey: Survey) -> Counter[int]:
    """Pixels of each value over the training masks."""
    counts: Counter[int] = Counter()
    for each in survey.examined:
        if each.pair.split == "train":
            counts.update(dict(each.counts))
    return counts


_CURES: tuple[Callable[[Survey], Fields | None], ...] = (
    _stills, _instances, _suffixes, _alpha, _colours, _threshold, _values,
)  # fmt: skip
