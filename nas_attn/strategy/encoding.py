"""Placements as arrays of choices, and what each choice costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.space import SearchSpace
from nas_attn.strategy.new_placements import cheapest_placement
from nas_attn.strategy.question import Question

Codes = NDArray[np.int64]
"""(n, L): for each placement and location the number of its attention in ``Encoding.specs``."""


@dataclass(frozen=True, eq=False)
class Encoding:
    """The attentions of a space by number.

    Args:
        space: the space.
        specs: every attention that a placement may hold anywhere, ``none`` first.
        options: for each location the numbers of what may stand there.
    """

    space: SearchSpace
    specs: tuple[AttentionSpec, ...]
    options: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, space: SearchSpace, others: Iterable[Placement] = ()) -> Encoding:
        """An encoding of a space and of other placements of its network, such as controls from outside of it."""
        own = _encoding(space, ())
        return _encoding(
            space, tuple(dict.fromkeys(spec for placement in others for spec in _foreign(own, placement)))
        )

    @property
    def stages(self) -> NDArray[np.int64]:
        """For each location the number of its stage, (L,)."""
        names = [location.stage for location, _ in self.space.choices]
        order = list(dict.fromkeys(names))
        return np.array([order.index(name) for name in names])

    def encode(self, placements: Iterable[Placement]) -> Codes:
        """(n, L)."""
        rows = [_row(self, placement) for placement in placements]
        return np.frombuffer(b"".join(rows), dtype=np.int64).reshape(len(rows), len(self.options))

    def all_codes(self) -> Codes:
        """Every placement of the space, (size, L)."""
        return _all_codes(self.options)

    def decode(self, codes: NDArray[np.int64]) -> Placement:
        """The placement of one row, (L,)."""
        pairs = zip(self.space.choices, codes.tolist(), strict=True)
        return Placement(tuple((location, self.specs[code]) for (location, _), code in pairs))

    def costs(self, question: Question) -> NDArray[np.float64]:
        """What each choice adds to the cost of the cheapest placement, (L, S); infinite where a location does not
        offer it. Costs add up over the locations."""
        base = cheapest_placement(question)
        least = question.cost(base)
        added = np.full((len(self.options), len(self.specs)), np.inf)
        for row, (location, _) in enumerate(self.space.choices):
            for code in self.options[row]:
                added[row, code] = question.cost(base.replace(location, self.specs[code])) - least
        return added

    @cached_property
    def _numbers(self) -> dict[AttentionSpec, int]:
        return {spec: index for index, spec in enumerate(self.specs)}


@lru_cache(maxsize=16)
def _encoding(space: SearchSpace, foreign: tuple[AttentionSpec, ...]) -> Encoding:
    known = dict.fromkeys([NONE, *(spec for _, kinds in space.choices for spec in kinds), *foreign])
    number = {spec: index for index, spec in enumerate(known)}
    options = tuple(tuple(number[spec] for spec in kinds) for _, kinds in space.choices)
    return Encoding(space, tuple(known), options)


@lru_cache(maxsize=4)
def _all_codes(options: tuple[tuple[int, ...], ...]) -> Codes:
    return np.array(list(itertools.product(*options)), dtype=np.int64)


# A proposal encodes all placements of the study; most of them were there for the last one.
@lru_cache(maxsize=2**16)
def _row(encoding: Encoding, placement: Placement) -> bytes:
    return np.array([encoding._numbers[spec] for _, spec in placement], dtype=np.int64).tobytes()


@lru_cache(maxsize=2**16)
def _foreign(own: Encoding, placement: Placement) -> tuple[AttentionSpec, ...]:
    """What a placement holds that the space does not know."""
    return tuple(spec for _, spec in placement if spec not in own._numbers)
