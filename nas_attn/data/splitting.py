"""Assign images to training, validation and test."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from nas_attn.data.declaration import Declaration
from nas_attn.data.layout import FLAT, SPLITS, has_wildcard
from nas_attn.data.listing import in_words
from nas_attn.data.pairing import ImagePair
from nas_attn.data.problem import Problem, Sort, printable

SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}
LEAST_OF_A_SPLIT = 2
_RULE = (
    "by a hash of the file name, so that new files move no old ones; "
    "say as group or splits in dataset.yaml where images belong together (one patient, one slide)"
)


def split_pairs(
    pairs: Sequence[ImagePair], folders: Collection[str], declaration: Declaration
) -> tuple[list[ImagePair], list[Problem], list[str]]:
    """The pairs with every split filled, sorted by split and name; problems; and notes on the rule.

    A split that neither folders nor ``dataset.yaml`` give is taken from the training images: images with a hash of
    the file name from 70 to 85 % of its range for val, above that for test.

    Args:
        pairs: with the splits of their folders.
        folders: the splits that have a folder.
        declaration: may name the splits if no folder does.
    """
    found: list[Problem] = []
    notes: list[str] = []
    placed, given = list(pairs), set(folders) - {FLAT}
    if declaration.splits is not None:
        placed, notes = _declared(placed, declaration, found)
        given |= {split for split, _ in declaration.splits}
    missing = [split for split in SPLITS if split not in given]
    if given and "train" in missing:
        found.append(Problem(Sort.SPLIT, "there is no training image; put some into images/train and masks/train"))
    elif placed:
        pattern = declaration.layout.group
        placed = _filled([_placed(pair, missing, pattern) for pair in placed], missing, pattern)
        notes += [_note(missing)] if missing else []
        found += _empty(placed, missing)
    placed.sort(key=place_of)
    found += _parted(placed, declaration)
    return placed, found, notes


def drawn_images(pairs: Sequence[ImagePair], folders: Collection[str], declaration: Declaration) -> set[Path]:
    """The images that neither a folder nor a declaration has assigned to a split, without clips and groups."""
    if declaration.splits is not None or declaration.layout.group or set(SPLITS) <= set(folders):
        return set()
    return {pair.image for pair in pairs if pair.split in (FLAT, "train") and not pair.clip}


def share_of(name: str) -> float:
    """The hash of a file name as a number from 0 to 1, which never changes."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def place_of(pair: ImagePair) -> tuple[int, str, list[tuple[int, str]], str]:
    """Sort key: frames of a clip in the order of their numbers, all others by their names."""
    frame = in_words(Path(pair.name).name) if pair.clip else []
    return SPLITS.index(pair.split or "train"), pair.clip, frame, pair.name


def group_of(name: str, pattern: str) -> str | None:
    """The group of a name: the first group of the pattern, or its whole match.

    Returns:
        None if the pattern does not match, or there is none.
    """
    match = re.search(pattern, name) if pattern else None
    return match and (match.group(1) if match.re.groups else match.group())


def _unit(pair: ImagePair, pattern: str) -> str:
    """The unit by which a pair is assigned to a split; clips and groups stay together."""
    return group_of(pair.name, pattern) or pair.clip or pair.name


def _filled(pairs: list[ImagePair], missing: Sequence[str], pattern: str) -> list[ImagePair]:
    """The pairs with at least two images in every split, as far as splits by hash allow it.

    The images that are nearest by their hash are moved, from a split that keeps two.

    Args:
        pairs: each in its split.
        missing: the splits that are filled by hash.
        pattern: of groups.
    """
    for split in (one for one in SPLITS if one in missing):
        while sum(pair.split == split for pair in pairs) < LEAST_OF_A_SPLIT:
            unit = _nearest(pairs, split, {"train", *missing} - {split}, pattern)
            if unit is None:
                break
            pairs = [
                replace(pair, split=split) if (pair.split, _unit(pair, pattern)) == unit else pair
                for pair in pairs
            ]
    return pairs


def _nearest(pairs: Sequence[ImagePair], split: str, givers: set[str], pattern: str) -> tuple[str, str] | None:
    """Split and name of the unit that a split may take; None if no other split can spare one."""
    sizes = Counter(pair.split for pair in pairs)
    units = Counter((pair.split, _unit(pair, pattern)) for pair in pairs if pair.split in givers)
    free = [(at, unit) for (at, unit), number in units.items() if sizes[at] - number >= LEAST_OF_A_SPLIT]
    return min(free, key=lambda one: (_distance(share_of(one[1]), split), one[1]), default=None)


def _distance(share: float, split: str) -> float:
    """Distance of a hash from the range of a split."""
    low = sum(SHARES[before] for before in SPLITS[: SPLITS.index(split)])
    high = low + SHARES[split]
    return max(low - share, share - high, 0.0)


def _parted(pairs: Sequence[ImagePair], declaration: Declaration) -> list[Problem]:
    """Declared groups whose images are in several splits, and a pattern that matches no name."""
    pattern = declaration.layout.group
    if not pattern or not pairs:
        return []
    homes: dict[str, dict[str, None]] = defaultdict(dict)
    for pair in pairs:
        if (group := group_of(pair.name, pattern)) is not None:
            homes[group][pair.split] = None
    where = declaration.place("group")
    if not homes:
        return [Problem(Sort.SPLIT, f"{where}: group: fits no name, such as {printable(pairs[0].name)}")]
    return [
        Problem(
            Sort.SPLIT,
            f"{where}: group: '{printable(group)}' is in {' and in '.join(splits)}; put all of it into one split",
        )
        for group, splits in homes.items()
        if len(splits) > 1
    ]


def _placed(pair: ImagePair, missing: Sequence[str], pattern: str) -> ImagePair:
    if pair.split not in (FLAT, "train"):
        return pair
    share = share_of(_unit(pair, pattern))
    split = "train" if share < SHARES["train"] else "val" if share < SHARES["train"] + SHARES["val"] else "test"
    return replace(pair, split=split if split in missing else "train")


def _note(missing: Sequence[str]) -> str:
    if len(missing) == len(SPLITS):
        shares = ", ".join(f"{share:.0%} {split}" for split, share in SHARES.items())
        return f"no splits were given: {shares}, {_RULE}"
    taken = " and ".join(f"{SHARES[split]:.0%} of the training images became {split}" for split in missing)
    return f"{taken}, {_RULE}"


def _empty(pairs: Sequence[ImagePair], missing: Sequence[str]) -> list[Problem]:
    present = {pair.split for pair in pairs}
    by_name = "none of the images, split by name, fell into {}; name the splits in dataset.yaml or use folders"
    by_folder = "there is no image with a mask in {}"
    lines = {split: by_name if split in missing else by_folder for split in SPLITS if split not in present}
    return [Problem(Sort.SPLIT, line.format(split)) for split, line in lines.items()]


def _declared(
    pairs: Sequence[ImagePair], declaration: Declaration, found: list[Problem]
) -> tuple[list[ImagePair], list[str]]:
    """The pairs that the declared splits name."""
    place = declaration.place
    if any(pair.split != FLAT for pair in pairs):
        line = "splits: the images lie in split folders already; take away the field or the folders"
        found.append(Problem(Sort.SPLIT, f"{place('splits')}: {line}"))
        return list(pairs), []
    stems = {pair.name for pair in pairs}
    homes: dict[str, list[str]] = defaultdict(list)
    for split, patterns in declaration.splits or ():
        for pattern in patterns:
            named = {pattern} & stems
            if not named and has_wildcard(pattern):
                named = {stem for stem in stems if fnmatchcase(stem, pattern)}
            if not named:
                line = f"splits: {split}: '{printable(pattern)}' names no image that has a mask"
                found.append(Problem(Sort.SPLIT, f"{place('splits', split)}: {line}"))
            for stem in named:
                homes[stem] += [split] if split not in homes[stem] else []
    found += [
        Problem(
            Sort.SPLIT,
            f"{place('splits', splits[-1])}: splits: '{printable(stem)}' is in {' and in '.join(splits)}; "
            "name it once",
        )
        for stem, splits in sorted(homes.items())
        if len(splits) > 1
    ]
    lost = len(stems - homes.keys())
    notes = [f"left out: {lost} images that no split of {declaration.source} names"] if lost else []
    return [replace(pair, split=homes[pair.name][0]) for pair in pairs if pair.name in homes], notes
