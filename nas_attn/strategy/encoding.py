"""The placements of a space as arrays of choices, and what each choice costs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nas_attn.analysis.effect_model import Codes, Numbers
from nas_attn.analysis.images import Array
from nas_attn.analysis.posterior import Drawn
from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.space import SearchSpace
from nas_attn.strategy.new_placements import cheapest_placement
from nas_attn.strategy.question import Question


@dataclass(frozen=True, eq=False)
class Encoding:
    """The attentions of a space by number.

    Args:
        space: the space.
        specs: every attention that a placement may hold anywhere, and others, ``none`` first.
        options: for each location the numbers of what may stand there.
    """

    space: SearchSpace
    specs: tuple[AttentionSpec, ...]
    options: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, space: SearchSpace, known: Sequence[AttentionSpec] = (NONE,)) -> Encoding:
        """An encoding in which what is known already keeps its numbers."""
        specs = dict.fromkeys([*known, *(spec for _, kinds in space.choices for spec in kinds)])
        number = {spec: index for index, spec in enumerate(specs)}
        options = tuple(tuple(number[spec] for spec in kinds) for _, kinds in space.choices)
        return cls(space, tuple(specs), options)

    @property
    def choices(self) -> list[tuple[int, int]]:
        """Every attention that may stand at a location, with that location's number."""
        return [(location, code) for location, codes in enumerate(self.options) for code in codes if code]

    def all_codes(self) -> Codes:
        """Every placement of the space, (size, L)."""
        return _all_codes(self.options)

    def decode(self, codes: Numbers) -> Placement:
        """The placement of one row, (L,)."""
        pairs = zip(self.space.choices, codes.tolist(), strict=True)
        return Placement(tuple((location, self.specs[code]) for (location, _), code in pairs))

    def values(self, drawn: Drawn) -> Array:
        """What each choice adds by itself, (L, S)."""
        values = np.zeros((len(self.options), len(self.specs)))
        for (location, code), single in zip(drawn.choices, drawn.singles.tolist(), strict=True):
            values[location, code] = single
        return values

    def costs(self, question: Question) -> Array:
        """What each choice adds to the cost of the cheapest placement, (L, S); infinite where a location does not
        offer it. Costs add up over the locations."""
        base = cheapest_placement(question)
        least = question.cost(base)
        added = np.full((len(self.options), len(self.specs)), np.inf)
        for row, (location, _) in enumerate(self.space.choices):
            for code in self.options[row]:
                added[row, code] = question.cost(base.replace(location, self.specs[code])) - least
        return added


@lru_cache(maxsize=4)
def _all_codes(options: tuple[tuple[int, ...], ...]) -> Codes:
    return np.array(list(itertools.product(*options)), dtype=np.int64)
