"""Placements in words, and shortened words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.record import Role
from nas_attn.wording.numbers import ranges


def describe(placement: Placement) -> str:
    """A placement in a few words: ``scse at skip.1; eca at decoder.0-2``, ``se everywhere``, or the baseline."""
    if not placement.attended:
        return "baseline (plain U-Net)"
    places: dict[AttentionSpec, list[Location]] = {}
    for location, spec in placement.attended:
        places.setdefault(spec, []).append(location)
    if len(places) == 1 and all(spec != NONE for _, spec in placement):
        return f"{next(iter(places))} everywhere"
    return "; ".join(f"{spec} at {_places(locations)}" for spec, locations in places.items())


def in_words(placement: Placement) -> str:
    """A placement within a sentence: ``scse at skip.1 and eca at decoder.0-2``."""
    *others, last = describe(placement).split("; ")
    return f"{', '.join(others)} and {last}" if others else last


def role_word(role: Role) -> str:
    """The purpose of a run: ``reference architecture``, ``proposal``, ``finalist``."""
    return "reference architecture" if role is Role.REFERENCE else str(role)


def shortened(text: str, letters: int) -> str:
    """A text of at most ``letters`` letters, with an ellipsis for what is cut off."""
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _places(locations: Sequence[Location]) -> str:
    texts = []
    for stage, group in groupby(locations, key=lambda location: location.stage):
        levels = [location.level for location in group]
        one_place = str(Location(stage)) == str(stage)
        texts.append(str(stage) if one_place else f"{stage}.{ranges(levels)}")
    return ", ".join(texts)
