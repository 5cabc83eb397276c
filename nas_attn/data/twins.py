"""Keep images with the same pixels in one split, so that no network is evaluated on images that it was trained
on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from nas_attn.data.examine import Examined
from nas_attn.data.layout import SPLITS
from nas_attn.data.pairing import ImagePair
from nas_attn.data.problem import Problem, Sort, printable
from nas_attn.data.splitting import place_of


def reunite(
    examined: Sequence[Examined], pairs: Sequence[ImagePair], drawn: Collection[Path]
) -> tuple[list[Examined], list[Problem], list[str]]:
    """The images, those with the same pixels in one split; problems of those assigned to several by hand; and
    notes.

    Only images that were assigned to a split by hash are moved: to the split of an equal image that was assigned
    by hand, or to that of the first of them. Images of a single colour, such as tiles without data, are not moved.

    Args:
        examined: those that could be read, in their order.
        pairs: all images.
        drawn: the images that were assigned by hash.
    """
    alike: dict[bytes, list[Examined]] = defaultdict(list)
    for each in examined:
        alike[each.digest].append(each)
    apart = [group for group in alike.values() if len({each.pair.split for each in group}) > 1]
    found: list[Problem] = []
    moved: dict[int, str] = {}
    for group in (group for group in apart if not group[0].is_constant):
        given = [each for each in group if each.pair.image not in drawn]
        if len({each.pair.split for each in given}) > 1:
            found.append(_twins(group))
            continue
        home = (given or group)[0].pair.split
        moved |= {id(each): home for each in group if each.pair.split != home}
    placed = [
        replace(each, pair=replace(each.pair, split=moved[id(each)])) if id(each) in moved else each
        for each in examined
    ]
    blank = sum(len(group) for group in apart if group[0].is_constant)
    notes = [f"{len(moved)} images moved to the split of another with the same pixels"] if moved else []
    notes += [f"{blank} images of one colour, in several splits, have the same pixels"] if blank else []
    placed.sort(key=lambda each: place_of(each.pair))
    return placed, [*found, *_emptied(pairs, placed)], notes


def _twins(group: Sequence[Examined]) -> Problem:
    return Problem(
        Sort.DUPLICATE,
        f"{' and '.join(f'{printable(each.pair.image)} ({each.pair.split})' for each in group[:4])}: "
        "the same pixels in different splits; keep one of them",
    )


def _emptied(pairs: Sequence[ImagePair], examined: Sequence[Examined]) -> list[Problem]:
    """Splits that lost their last image to another one."""
    before, after = {pair.split for pair in pairs}, {each.pair.split for each in examined}
    read = {each.pair.image for each in examined}
    lost = [split for split in SPLITS if split in before - after and all(pair.image in read for pair in pairs)]
    return [
        Problem(Sort.SPLIT, f"all images of {split} have the same pixels as others; give more that differ")
        for split in lost
    ]
