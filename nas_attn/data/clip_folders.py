"""Clips in a folder: their lengths and their problems."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from nas_attn.data.examine import Examined
from nas_attn.data.problem import Problem, Sort, printable


def clip_lengths(examined: Sequence[Examined]) -> tuple[int, ...]:
    """The number of frames of each clip, in the order of the images; empty for still images.

    Args:
        examined: the images of one split, in the order in which they are packed.
    """
    return tuple(Counter(each.pair.clip for each in examined if each.pair.clip).values())


def clip_problems(examined: Sequence[Examined]) -> list[Problem]:
    """Problems of clips: splits with and without clips, and frames of several sizes in one clip."""
    return [*_mixture(examined), *_sizes(examined)]


def clip_notes(examined: Sequence[Examined]) -> list[str]:
    """Notes on what is read as clips, and on missing frames, across which clips continue."""
    clips: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for each in examined:
        if each.pair.clip:
            clips[each.pair.split, each.pair.clip].append(each.pair.image)
    if not clips:
        return []
    said = [
        f"{len(clips)} folders are read as clips; 'clips: false' in dataset.yaml reads their images as still "
        "images"
    ]
    found = [gap for frames in clips.values() if (gap := _gap(frames))]
    if not found:
        return said
    before, after = found[0]
    others = "" if len(found) == 1 else f"; {len(found)} clips have such gaps"
    line = (
        f"{printable(after)} is read as the next frame after {printable(before.name)}: frames between are missing"
    )
    return [*said, f"{line}{others}"]


def _gap(frames: Sequence[Path]) -> tuple[Path, Path] | None:
    """The first consecutive frames that are further apart than others of their clip, by the last number in each
    name."""
    numbers = [[int(digits) for digits in re.findall(r"\d+", path.stem)][-1:] for path in frames]
    if not all(numbers):
        return None
    steps = [later - earlier for (earlier,), (later,) in pairwise(numbers)]
    wide = (place for place, step in enumerate(steps) if step > min(steps) > 0)
    return next(((frames[place], frames[place + 1]) for place in wide), None)


def _mixture(examined: Sequence[Examined]) -> list[Problem]:
    examples = {bool(each.pair.clip): each.pair.image for each in reversed(examined)}
    if len(examples) < 2:
        return []
    line = (
        f"{printable(examples[True])} is a frame of a clip and {printable(examples[False])} is a still image; "
        "let all splits have clips, images/train/CLIP/0001.png, or none"
    )
    return [Problem(Sort.LAYOUT, line)]


def _sizes(examined: Sequence[Examined]) -> list[Problem]:
    clips: dict[tuple[str, str], dict[tuple[int, int], str]] = defaultdict(dict)
    for each in examined:
        if each.pair.clip:
            sizes = clips[each.pair.split, each.pair.clip]
            sizes.setdefault((each.width, each.height), printable(each.pair.image))
    return [
        Problem(
            Sort.SIZE,
            f"frames of one clip differ in size: {_listed(sizes)} (width x height); give all of them one",
        )
        for sizes in clips.values()
        if len(sizes) > 1
    ]


def _listed(sizes: dict[tuple[int, int], str]) -> str:
    shown = [f"{name} is {width}x{height}" for (width, height), name in sizes.items()][:2]
    return " and ".join(shown)
