"""Pair images and masks by their names; no file is opened."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nas_attn.data.layout import Layout
from nas_attn.data.listing import ListedFile, Listing
from nas_attn.data.problem import Problem, Sort, printable

MASK_SUFFIXES = ("", "_mask", "_seg", "_label")

_Home = tuple[str, str, str]
"""Split, clip, and the text that a glob of folders matched; only names with the same home belong together."""
_Named = Mapping[str, list[ListedFile]]


@dataclass(frozen=True)
class ImagePair:
    """An image and its mask.

    Args:
        split: ``train``, ``val`` or ``test``; empty if the files have no splits.
        name: of the image file, without its suffix; for a frame, after the name of its clip.
        image: path of the image, relative to the folder of the data set.
        mask: path of the mask, relative to the folder of the data set.
        clip: name of its clip; empty for still images.
        more: further masks of the image, which are merged with the first.
        of_classes: the index of the class of each mask; empty if a mask contains all classes.
    """

    split: str
    name: str
    image: Path
    mask: Path
    clip: str = ""
    more: tuple[Path, ...] = ()
    of_classes: tuple[int, ...] = ()

    @property
    def masks(self) -> tuple[Path, ...]:
        """All masks of the image."""
        return (self.mask, *self.more)


def pairs_of(listing: Listing, layout: Layout) -> tuple[list[ImagePair], list[Problem]]:
    """All images with their masks, and the files without a partner or with several.

    If an image has no mask of some class, this class is absent there. An image without any mask is a problem.
    """
    if not layout.of_classes:
        return _pair_up(listing, layout)
    found: dict[Problem, None] = {}
    parts: dict[Path, list[ImagePair]] = defaultdict(list)
    for index, (name, _) in enumerate(layout.of_classes):
        masks = tuple(entry for entry in listing.masks if entry.of_class == name)
        pairs, problems = _pair_up(replace(listing, masks=masks), layout, all_masked=False)
        found |= dict.fromkeys(problems)
        for pair in pairs:
            parts[pair.image].append(replace(pair, of_classes=(index,) * len(pair.masks)))
    lonely = [
        Problem(Sort.PAIRING, _unmatched(image, [], layout)) for image in listing.images if image.path not in parts
    ]
    ordered = [_joined(parts[image.path]) for image in listing.images if image.path in parts]
    return ordered, [*found, *lonely]


def _pair_up(
    listing: Listing, layout: Layout, *, all_masked: bool = True
) -> tuple[list[ImagePair], list[Problem]]:
    """All pairs in the order of their images, and the files without a partner or with several.

    An image without a mask is a problem only if ``all_masked`` requires one for each image.

    The mask of ``a.jpg`` is ``a``, ``a_mask``, ``a_seg`` or ``a_label`` with any suffix, or as the layout says.
    Names are compared in Unicode's composed form (NFC), because macOS stores them decomposed.
    """
    pairs: list[ImagePair] = []
    found: list[Problem] = []
    images, masks = _by_home(listing.images), _by_home(listing.masks)
    for home in dict.fromkeys((*images, *masks)):
        there, beside = images.get(home, {}), masks.get(home, {})
        found += _repeated(there)
        partners = dict(_partners(home, there, beside, layout))
        for stem, entries in there.items():
            candidates = partners[stem]
            if len(entries) == 1 and (len(candidates) == 1 or (candidates and layout.merges)):
                alone = len(there) == 1
                pairs.append(_pair(home, entries[0], candidates, alone))
            elif len(entries) == 1 and (candidates or all_masked):
                found.append(Problem(Sort.PAIRING, _unmatched(entries[0], candidates, layout)))
        taken = {entry.path for candidates in partners.values() for entry in candidates}
        orphans = [entry.path for entries in beside.values() for entry in entries if entry.path not in taken]
        found += [
            Problem(
                Sort.PAIRING, f"{printable(path)}: mask without image; no image is named '{printable(path.stem)}'"
            )
            for path in orphans
        ]
    return pairs, found


def _joined(pairs: list[ImagePair]) -> ImagePair:
    """The masks of all classes of an image."""
    first, *others = (mask for pair in pairs for mask in pair.masks)
    classes = tuple(index for pair in pairs for index in pair.of_classes)
    return replace(pairs[0], mask=first, more=tuple(others), of_classes=classes)


def _by_home(entries: Iterable[ListedFile]) -> dict[_Home, dict[str, list[ListedFile]]]:
    homes: dict[_Home, dict[str, list[ListedFile]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        name = unicodedata.normalize("NFC", entry.name)
        homes[entry.split, entry.clip, unicodedata.normalize("NFC", entry.home)][name].append(entry)
    return homes


def _partners(
    home: _Home, images: _Named, masks: _Named, layout: Layout
) -> Iterator[tuple[str, list[ListedFile]]]:
    """The masks of each image, by its name."""
    if home[2] and len(images) == 1:  # a folder of its own: all masks there are of the one image
        yield from ((stem, [entry for entries in masks.values() for entry in entries]) for stem in images)
        return
    parts = _parts(images, masks) if layout.merges else {}
    for stem in images:
        suffixes = MASK_SUFFIXES if layout.mask_suffix is None else ("",)
        names = [stem + suffix for suffix in suffixes if stem + suffix in masks]
        names = [name for name in names if name == stem or name not in images]
        names += [name for name in parts.get(stem, ()) if name not in names]
        yield stem, [entry for name in names for entry in masks[name]]


def _parts(images: _Named, masks: _Named) -> dict[str, list[str]]:
    """Masks whose names consist of an image's name and a suffix, such as ``a_01`` for ``a``; each belongs to the
    longest such name."""
    parts: dict[str, list[str]] = defaultdict(list)
    for name in masks:
        heads = [name[: match.start()] for match in re.finditer(r"[-_. ]", name)]
        if (head := next((head for head in reversed(heads) if head in images), None)) and name not in images:
            parts[head].append(name)
    return parts


def _pair(home: _Home, image: ListedFile, masks: list[ListedFile], alone: bool) -> ImagePair:
    split, clip, folder = home
    name = f"{clip}/{image.name}" if clip else image.name
    if folder:
        name = folder if alone else f"{folder}/{image.name}"
    first, *more = (entry.path for entry in masks)
    return ImagePair(split, name, image.path, first, clip, tuple(more))


def _repeated(images: _Named) -> list[Problem]:
    return [
        Problem(
            Sort.PAIRING,
            f"{' and '.join(printable(entry.path) for entry in entries)}: images of one name; rename one of them",
        )
        for entries in images.values()
        if len(entries) > 1
    ]


def _unmatched(image: ListedFile, candidates: list[ListedFile], layout: Layout) -> str:
    """Why an image does not have exactly one mask."""
    if candidates:
        masks = ", ".join(printable(entry.path) for entry in candidates[:4])
        return f"{printable(image.path)}: several masks: {masks}; keep one, or 'instances: true' makes them one"
    if not layout.is_usual:
        return f"{printable(image.path)}: image without mask; no mask is named '{printable(image.name)}'"
    mask = Path("masks", *image.path.parts[1:-1], image.path.stem)
    return f"{printable(image.path)}: image without mask; expected {printable(mask)}.png or the like"
