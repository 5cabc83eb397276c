"""Split the training and validation images of a small set into folds, each of which is held out in turn."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from nas_attn.clips import clip_places
from nas_attn.data import on_demand
from nas_attn.data.dataset import Dataset, LabelledImages
from nas_attn.data.splitting import share_of
from nas_attn.errors import UsageError


def folds_of(dataset: Dataset, number: int) -> tuple[int, ...]:
    """The fold of each image, or of each clip, first of the training and then of the validation images.

    Frames of a clip, images of a declared group, and images with the same pixels stay together. The largest of
    these units come first, units of equal size in the order of a hash of their names, and each goes into the fold
    with the fewest images so far.

    Args:
        dataset: whose training and validation images are joined.
        number: of folds, from 2.
    Raises:
        UsageError: there are fewer units than folds.
    """
    pool = joined(dataset.train, dataset.val)
    units = _units(pool)
    together = _together(pool, units)
    if len(together) < number:
        what = "clips" if pool.clips else "images"
        raise UsageError(
            f"--folds {number}: train and val hold {len(together)} {what} or groups of them that can be parted; "
            f"take at most {len(together)}"
        )
    sizes = [sum(len(units[unit]) for unit in members) for members in together]
    names = [pool.names[units[members[0]][0]] for members in together]
    found, filled = [0] * len(units), [0] * number
    for place in sorted(range(len(together)), key=lambda one: (-sizes[one], share_of(names[one]), names[one])):
        fold = filled.index(min(filled))
        filled[fold] += sizes[place]
        for unit in together[place]:
            found[unit] = fold
    return tuple(found)


def fold_dataset(dataset: Dataset, folds: Sequence[int], fold: int) -> Dataset:
    """The data set whose validation images are those of one fold, and whose training images are those of all
    others."""
    pool = joined(dataset.train, dataset.val)
    train, val = parted(folds, fold)
    return replace(dataset, train=chosen(pool, train), val=chosen(pool, val))


def parted(folds: Sequence[int], fold: int) -> tuple[list[int], list[int]]:
    """The numbers of the images or clips of all other folds, and of one fold.

    Args:
        folds: the fold of each.
        fold: the one.
    """
    others, mine = ([unit for unit, of in enumerate(folds) if (of == fold) is held] for held in (False, True))
    return others, mine


def without_validation(dataset: Dataset) -> Dataset:
    """The data set that trains on its validation images too, and is evaluated on its test images."""
    pool = joined(dataset.train, dataset.val)
    digest = hashlib.sha256(f"{dataset.fingerprint} train and val".encode()).hexdigest()
    return replace(dataset, train=pool, val=dataset.test, fingerprint=digest)


def joined(one: LabelledImages, other: LabelledImages) -> LabelledImages:
    """The images of both sets, one after the other."""
    return LabelledImages(
        on_demand.joined(one.images, other.images),
        on_demand.joined(one.labels, other.labels),
        (*one.heights, *other.heights),
        (*one.widths, *other.widths),
        (*one.names, *other.names),
        (*one.clips, *other.clips),
        (*one.groups, *other.groups),
        one.multi_label,
    )


def chosen(images: LabelledImages, units: Sequence[int]) -> LabelledImages:
    """Some of the images, or clips, in the given order."""
    every = _units(images)
    places = [place for unit in units for place in every[unit]]
    return LabelledImages(
        on_demand.picked(images.images, places),
        on_demand.picked(images.labels, places),
        tuple(images.heights[place] for place in places),
        tuple(images.widths[place] for place in places),
        tuple(images.names[place] for place in places),
        tuple(len(every[unit]) for unit in units) if images.clips else (),
        tuple(images.groups[place] for place in places) if images.groups else (),
        images.multi_label,
    )


def _units(images: LabelledImages) -> tuple[range, ...]:
    """The indices of each clip's frames, or of each image."""
    return clip_places(images.clips or (1,) * len(images))


def _together(images: LabelledImages, units: Sequence[range]) -> list[list[int]]:
    """The units that must stay together, in the order of the first of each."""
    home = list(range(len(units)))

    def root(unit: int) -> int:
        while home[unit] != unit:
            unit = home[unit]
        return unit

    first: dict[object, int] = {}
    for unit, places in enumerate(units):
        for key in _keys(images, places):
            home[root(unit)] = root(first.setdefault(key, unit))
    members: dict[int, list[int]] = defaultdict(list)
    for unit in range(len(units)):
        members[root(unit)].append(unit)
    return list(members.values())


def _keys(images: LabelledImages, places: range) -> set[object]:
    """What connects a unit to others: the groups of its images, and its pixels, unless they have one colour."""
    found: set[object] = {(images.groups[place],) for place in places if images.groups and images.groups[place]}
    pixels = [images.images[place] for place in places]
    if all(bool((one == one[:, :1, :1]).all()) for one in pixels):
        return found
    digest = hashlib.sha256(repr([tuple(one.shape) for one in pixels]).encode())
    for one in pixels:
        digest.update(one.contiguous().numpy().tobytes())
    return {*found, digest.digest()}
