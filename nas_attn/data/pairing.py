"""Which mask belongs to which image: by names only, no file is opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nas_attn.data.listing import ListedFile, Listing
from nas_attn.data.problem import Problem, Sort, printable

MASK_SUFFIXES = ("", "_mask", "_seg", "_label")


@dataclass(frozen=True)
class ImagePair:
    """An image and its mask.

    Args:
        split: ``train``, ``val`` or ``test``; empty where they were not put into splits.
        name: of the image file, without its ending; behind that of its clip where it is a frame.
        image: path of the image, from the folder of the data set.
        mask: path of the mask, from the folder of the data set.
        clip: name of the clip of which it is a frame; empty where images are still.
    """

    split: str
    name: str
    image: Path
    mask: Path
    clip: str = ""


def pair_up(listing: Listing) -> tuple[list[ImagePair], list[Problem]]:
    """All pairs in the order of their images, and which files have no partner or several.

    The mask of ``a.jpg`` is ``a``, ``a_mask``, ``a_seg`` or ``a_label`` with any ending.
    """
    pairs: list[ImagePair] = []
    found: list[Problem] = []
    for home in dict.fromkeys(_home(entry) for entry in (*listing.images, *listing.masks)):
        images, masks = _by_stem(home, listing.images), _by_stem(home, listing.masks)
        found += _repeated(images)
        taken: set[str] = set()
        for stem, paths in images.items():
            partners = [stem + suffix for suffix in MASK_SUFFIXES if stem + suffix in masks]
            partners = [name for name in partners if name == stem or name not in images]
            taken.update(partners)
            candidates = [path for name in partners for path in masks[name]]
            if len(candidates) == 1 and len(paths) == 1:
                split, clip = home
                pairs.append(ImagePair(split, f"{clip}/{stem}" if clip else stem, paths[0], candidates[0], clip))
            elif len(paths) == 1:
                found.append(Problem(Sort.PAIRING, _unmatched(paths[0], candidates)))
        orphans = [path for name, paths in masks.items() if name not in taken for path in paths]
        found += [
            Problem(
                Sort.PAIRING, f"{printable(path)}: mask without image; no image is named '{printable(path.stem)}'"
            )
            for path in orphans
        ]
    return pairs, found


def _home(entry: ListedFile) -> tuple[str, str]:
    """Split and clip, within which names belong together."""
    return entry.split, entry.clip


def _by_stem(home: tuple[str, str], entries: Iterable[ListedFile]) -> dict[str, list[Path]]:
    stems: dict[str, list[Path]] = defaultdict(list)
    for entry in entries:
        if _home(entry) == home:
            stems[entry.path.stem].append(entry.path)
    return stems


def _repeated(images: dict[str, list[Path]]) -> list[Problem]:
    return [
        Problem(Sort.PAIRING, f"{' and '.join(map(printable, paths))}: images of one name; rename one of them")
        for paths in images.values()
        if len(paths) > 1
    ]


def _unmatched(image: Path, candidates: list[Path]) -> str:
    if candidates:
        return f"{printable(image)}: several masks: {', '.join(map(printable, candidates))}; keep one"
    place = Path("masks", *image.parts[1:-1])
    return f"{printable(image)}: image without mask; expected {printable(place / image.stem)}.png or the like"
