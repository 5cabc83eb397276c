"""Which masks belong to which image where each class has masks of its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from nas_attn.data.layout import Layout
from nas_attn.data.listing import Listing
from nas_attn.data.pairing import ImagePair, pair_up, unmatched
from nas_attn.data.problem import Problem, Sort


def pairs_of(listing: Listing, layout: Layout) -> tuple[list[ImagePair], list[Problem]]:
    """All images with their masks, and which files have no partner or several.

    Of an image that has no mask of some class this class is absent; one that has no mask at all is a problem.
    """
    if not layout.of_classes:
        return pair_up(listing, layout)
    found: dict[Problem, None] = {}
    parts: dict[Path, list[ImagePair]] = defaultdict(list)
    for index, (name, _) in enumerate(layout.of_classes):
        masks = tuple(entry for entry in listing.masks if entry.of_class == name)
        pairs, problems = pair_up(replace(listing, masks=masks), layout, all_masked=False)
        found |= dict.fromkeys(problems)
        for pair in pairs:
            parts[pair.image].append(replace(pair, of_classes=(index,) * len(pair.masks)))
    lonely = [
        Problem(Sort.PAIRING, unmatched(image, [], layout)) for image in listing.images if image.path not in parts
    ]
    ordered = [_joined(parts[image.path]) for image in listing.images if image.path in parts]
    return ordered, [*found, *lonely]


def _joined(pairs: list[ImagePair]) -> ImagePair:
    """The masks of all classes of an image."""
    first, *others = (mask for pair in pairs for mask in pair.masks)
    classes = tuple(index for pair in pairs for index in pair.of_classes)
    return replace(pairs[0], mask=first, more=tuple(others), of_classes=classes)
