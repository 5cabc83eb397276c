"""Thompson sampling with an additive model of all runs: exact Pareto fronts of posterior draws.

It starts with a balanced design.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nas_attn.analysis.effect_model import Codes, Numbers
from nas_attn.analysis.images import Array
from nas_attn.analysis.posterior import Drawn, Posterior
from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.space import SearchSpace
from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.expectation import learned
from nas_attn.strategy.new_placements import LISTABLE, IsNew, affordable, cheapest_placement, nearest_new, newness
from nas_attn.strategy.pareto_dp import exact_front, undominated
from nas_attn.strategy.question import Proposal, Question, array_generator, generator

DRAWS = 4
CANDIDATES = 256
"""Number of points of the front without pairs that are scored again with the effects of pairs."""
BLOCKS = 2
"""Blocks of the balanced design. In each, every choice is tried as often as every other one at its location."""
_LEAST_RUNS = 8


@STRATEGIES.register("additive")
def propose(question: Question) -> Proposal | None:
    """Estimate from all runs what each attention adds at each location, and propose a placement from a Pareto
    front of these effects.

    First comes a balanced design. After that, each proposal takes one draw of all effects from their posterior
    (Thompson 1933), computes the exact Pareto front over all placements for this draw, and takes the placement
    nearest to a random cost. Effects of pairs are drawn too: in a small space for all placements, in a large one
    for placements that are on the front without them. So placements that are known to be good or bad are left
    alone, and placements that may still be on the front are tried.
    """
    is_new, random_ = newness(question), generator(question)
    if (planned := _from_design(question, is_new)) is not None:
        return Proposal(planned)
    if len(question.records) < _LEAST_RUNS:
        placement = nearest_new(question, is_new, question.space.sample(random_), random_)
    else:
        placement = _from_model(question, is_new)
    return None if placement is None else Proposal(placement)


def _from_design(question: Question, is_new: IsNew) -> Placement | None:
    """A new placement from the earliest block of the balanced design that still has one; None if none has."""
    blocks = _affordable_blocks(
        question.space, question.seed, question.cost, question.objective_cost, question.allowed
    )
    left = next(filter(None, ([*filter(is_new, block)] for block in blocks)), None)
    return generator(question).choice(left) if left else None


@lru_cache(maxsize=4)
def _affordable_blocks(
    space: SearchSpace,
    seed: int,
    cost: Callable[[Placement], float],
    objective_cost: str,
    allowed: Callable[[Placement], bool],
) -> tuple[tuple[Placement, ...], ...]:
    """The balanced design, the same for every trial of a study.

    A placement above a ceiling is made just cheap enough, always in the same way.
    """
    question = Question(space, (), (), 0, seed, cost, objective_cost, allowed)
    cheapest = cheapest_placement(question)
    return tuple(
        tuple(
            changed
            for index, placement in enumerate(block)
            if (changed := affordable(question, placement, cheapest, random.Random(f"{seed} {number} {index}")))
            is not None
        )
        for number, block in enumerate(balanced_blocks(space, seed))
    )


def balanced_blocks(space: SearchSpace, seed: int) -> Iterator[tuple[Placement, ...]]:
    """Blocks of placements. Within a block, each location goes through its choices once, in random order.

    A location with fewer choices than the longest one goes through them again (Latin hypercube sampling: McKay,
    Beckman and Conover 1979, Technometrics 21(2)).

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
    """``length`` choices in random order; each occurs as often as every other one, or once more."""
    extra = generator.sample(kinds, length % len(kinds))
    column = [*kinds] * (length // len(kinds)) + extra
    return generator.sample(column, length)


def _from_model(question: Question, is_new: IsNew) -> Placement | None:
    gains, _ = learned(question)
    draws, wanted = array_generator(question), question.space.plain
    if gains.posterior is None:
        return nearest_new(question, is_new, wanted, generator(question))
    encoding = Encoding.of(question.space, gains.specs)
    costs = encoding.costs(question)
    for number in range(DRAWS):
        front = _drawn_front(question, gains.posterior, encoding, costs, draws)
        if (found := next(filter(is_new, front), None)) is not None:
            return found
        wanted = front[0] if front and not number else wanted
    return nearest_new(question, is_new, wanted, generator(question))


def _drawn_front(
    question: Question, posterior: Posterior, encoding: Encoding, costs: Array, draws: np.random.Generator
) -> list[Placement]:
    """Placements on the Pareto front of one posterior draw, sorted by distance to a random cost."""
    held = {*posterior.choices}
    drawn = posterior.draw(draws, [choice for choice in encoding.choices if choice not in held])
    codes, cost = _candidates(question, encoding.values(drawn), encoding, costs)
    front = undominated(drawn.gains(codes), cost)
    found = [(cost[index], encoding.decode(codes[index])) for index in front]
    allowed = [(dear, placement) for dear, placement in found if question.allowed(placement)]
    target = draws.uniform(*((allowed[0][0], allowed[-1][0]) if allowed else (0.0, 1.0)))
    return [placement for dear, placement in sorted(allowed, key=lambda pair: abs(pair[0] - target))]


def _candidates(question: Question, values: Array, encoding: Encoding, costs: Array) -> tuple[Codes, Array]:
    """Placements that may be on the front with the effects of pairs, and the cost that each adds to the cheapest
    placement.

    These are all placements of a small space, and the front without pairs in a large one.
    """
    if question.space.size <= LISTABLE:
        codes = encoding.all_codes()
        return codes, np.take_along_axis(costs, codes.T, axis=1).sum(0)
    linear = exact_front(values, costs)
    spread = np.unique(np.linspace(0, len(linear.costs) - 1, CANDIDATES).round().astype(np.int64))
    return linear.codes[spread], linear.costs[spread]


@dataclass(frozen=True, eq=False)
class Encoding:
    """The attentions of a space as numbers.

    Args:
        space: the space.
        specs: every attention that may stand anywhere in a placement, and others; ``none`` first.
        options: for each location, the numbers of its choices.
    """

    space: SearchSpace
    specs: tuple[AttentionSpec, ...]
    options: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, space: SearchSpace, known: Sequence[AttentionSpec] = (NONE,)) -> Encoding:
        """An encoding that keeps the numbers of known attentions."""
        specs = dict.fromkeys([*known, *(spec for _, kinds in space.choices for spec in kinds)])
        number = {spec: index for index, spec in enumerate(specs)}
        options = tuple(tuple(number[spec] for spec in kinds) for _, kinds in space.choices)
        return cls(space, tuple(specs), options)

    @property
    def choices(self) -> list[tuple[int, int]]:
        """All pairs of a location's number and the number of an attention that may stand there."""
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
        """The cost that each choice adds to the cheapest placement, (L, S); infinite if a location does not offer
        it. Costs add up over the locations."""
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
