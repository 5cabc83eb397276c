"""A first design in which every choice is tried as often as every other at its location."""

from __future__ import annotations

import random
from collections.abc import Iterator

from nas_attn.models.placement import AttentionSpec, Placement
from nas_attn.space import SearchSpace

BLOCKS = 2


def balanced_blocks(space: SearchSpace, seed: int) -> Iterator[tuple[Placement, ...]]:
    """Blocks of placements: within a block each location goes once through its choices, in random order.

    A location with fewer choices than the longest goes through them again. (Latin hypercube sampling: McKay,
    Beckman and Conover 1979, Technometrics 21(2).)

    Args:
        space: the placements.
        seed: of the order.
    """
    longest = max(len(kinds) for _, kinds in space.choices)
    for block in range(BLOCKS):
        columns = [
            _shuffled(kinds, longest, random.Random(f"{seed} {block} {location}"))
            for location, kinds in space.choices
        ]
        yield tuple(Placement(tuple(zip(space.locations, run, strict=True))) for run in zip(*columns, strict=True))


def _shuffled(kinds: tuple[AttentionSpec, ...], length: int, generator: random.Random) -> list[AttentionSpec]:
    """So many of these, each as often as every other or once more, in random order."""
    extra = generator.sample(kinds, length % len(kinds))
    column = [*kinds] * (length // len(kinds)) + extra
    return generator.sample(column, length)
