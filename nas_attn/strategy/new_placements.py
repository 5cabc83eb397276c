"""Placements that nobody has tried yet and that every limit allows."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.space import SearchSpace
from nas_attn.strategy.question import Question

LISTABLE = 4096
"""Spaces up to this size are gone through one by one; larger ones are cut down branch by branch."""

TRIES_PER_DISTANCE = 32


IsNew = Callable[[Placement], bool]


def newness(question: Question) -> IsNew:
    """The question whether a placement is neither evaluated nor pending, and allowed."""
    pending = frozenset(question.pending)
    known = {record.placement for record in question.records} if question.known is None else question.known
    return lambda placement: not (placement in known or placement in pending) and question.allowed(placement)


def nearest_new(question: Question, is_new: IsNew, start: Placement, random_: random.Random) -> Placement | None:
    """A new placement that differs from ``start`` at few locations.

    ``start`` itself where it is new. Else every placement that differs at one location is considered, then
    samples of those that differ at two, three and so on; one that is not allowed is made cheaper until it is.

    Args:
        question: says what there is and what is allowed.
        is_new: what ``newness`` gives for the question.
        start: any placement of the space, allowed or not.
        random_: decides between equally near ones.
    Returns:
        None where nothing new is left in the whole space.
    """
    if is_new(start):
        return start
    cheapest = cheapest_placement(question)
    if not question.allowed(cheapest):
        return any_new(question, is_new, random_)
    start = affordable(question, start, cheapest, random_) or start
    if is_new(start):
        return start
    for neighbour in _one_apart(question.space, start, random_):
        if is_new(neighbour):
            return neighbour
    for distance in range(2, len(question.space.choices) + 1):
        for _ in range(TRIES_PER_DISTANCE):
            mutant = affordable(question, _mutant(question.space, start, distance, random_), cheapest, random_)
            if mutant is not None and is_new(mutant):
                return mutant
    return any_new(question, is_new, random_)


def any_new(question: Question, is_new: IsNew, random_: random.Random) -> Placement | None:
    """A new placement from anywhere; None only where none is left.

    Args:
        question: says what there is and what is allowed.
        is_new: what ``newness`` gives for the question.
        random_: decides the order in which placements are considered.
    """
    if question.space.size <= LISTABLE:
        candidates = list(question.space.placements())
        random_.shuffle(candidates)
        return next(filter(is_new, candidates), None)
    base = cheapest_placement(question)
    allowed = _allowed_placements(question, base, question.space.choices, random_)
    return next(filter(is_new, allowed), None)


def affordable(
    question: Question, placement: Placement, cheapest: Placement, random_: random.Random
) -> Placement | None:
    """The placement with as few locations made cheapest as it takes to be allowed.

    None of the changes can be taken back without breaking a limit again.

    Returns:
        None where not even the cheapest placement is allowed.
    """
    if question.allowed(placement):
        return placement
    changes = [location for location, spec in placement if spec != cheapest[location]]
    random_.shuffle(changes)
    cheaper, changed = placement, []
    for location in changes:
        cheaper = cheaper.replace(location, cheapest[location])
        changed.append(location)
        if question.allowed(cheaper):
            break
    else:
        return None
    for location in changed:
        restored = cheaper.replace(location, placement[location])
        if question.allowed(restored):
            cheaper = restored
    return cheaper


def cheapest_placement(question: Question) -> Placement:
    """``none`` at every location; where a location has no ``none``, what costs least there."""
    specs = {location: NONE if NONE in kinds else kinds[0] for location, kinds in question.space.choices}
    base = Placement.of(specs)
    for location, kinds in question.space.choices:
        if specs[location] != NONE:
            specs[location] = min(kinds, key=lambda kind: question.cost(base.replace(location, kind)))
    return Placement.of(specs)


def _one_apart(space: SearchSpace, start: Placement, random_: random.Random) -> Iterator[Placement]:
    """Every placement that differs from ``start`` at one location, in random order."""
    changes = [(place, kind) for place, kinds in space.choices for kind in kinds if kind != start[place]]
    random_.shuffle(changes)
    return itertools.starmap(start.replace, changes)


def _mutant(space: SearchSpace, start: Placement, distance: int, random_: random.Random) -> Placement:
    """A placement that differs from ``start`` at ``distance`` random locations, or fewer where a location has one
    choice only."""
    for location, kinds in random_.sample(space.choices, distance):
        others = [kind for kind in kinds if kind != start[location]]
        if others:
            start = start.replace(location, random_.choice(others))
    return start


def _allowed_placements(
    question: Question,
    base: Placement,
    undecided: tuple[tuple[Location, tuple[AttentionSpec, ...]], ...],
    random_: random.Random,
) -> Iterator[Placement]:
    """Every allowed placement once, deciding one location after the other over the cheapest rest.

    Each branch that is entered holds at least one allowed placement, its ``base``, so that finding one more
    than are known takes no longer than going through the known ones.
    """
    if not question.allowed(base):
        return
    if not undecided:
        yield base
        return
    (location, kinds), *rest = undecided
    for kind in random_.sample(kinds, len(kinds)):
        yield from _allowed_placements(question, base.replace(location, kind), tuple(rest), random_)
