"""Placements that have not been tried and are within every limit."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.space import SearchSpace
from nas_attn.strategy.question import Question

LISTABLE = 4096
"""Spaces up to this size are enumerated; larger ones are searched branch by branch."""

TRIES_PER_DISTANCE = 32


IsNew = Callable[[Placement], bool]


def newness(question: Question) -> IsNew:
    """Return a test whether a placement is allowed and neither evaluated nor pending."""
    pending = frozenset(question.pending)
    known = {record.placement for record in question.records} if question.known is None else question.known
    return lambda placement: not (placement in known or placement in pending) and question.allowed(placement)


def nearest_new(question: Question, is_new: IsNew, start: Placement, random_: random.Random) -> Placement | None:
    """A new placement that differs from ``start`` at few locations.

    This is ``start`` itself if it is new. Otherwise every placement that differs at one location is considered,
    then samples of those that differ at two, three and so on. A placement that is not allowed is made cheaper
    until it is.

    Args:
        question: gives the space and the limits.
        is_new: result of ``newness`` for the question.
        start: any placement of the space, allowed or not.
        random_: decides between equally near placements.
    Returns:
        None if the whole space has no new placement left.
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
    """A new placement from anywhere in the space; None only if none is left.

    Args:
        question: gives the space and the limits.
        is_new: result of ``newness`` for the question.
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
    """The placement with the cheapest choice at as few locations as are needed for it to be allowed.

    No single change can be undone without exceeding a limit again.

    Returns:
        None if not even the cheapest placement is allowed.
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
    """``none`` at every location; at a location without ``none``, the cheapest choice."""
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
    """A placement that differs from ``start`` at ``distance`` random locations, or at fewer if there are not so
    many locations with several choices."""
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
    """Every allowed placement once: decide one location after the other, with the cheapest choices for the rest.

    Each branch that is entered has at least one allowed placement, its ``base``. So finding one more placement
    than are known takes no longer than enumerating the known ones.
    """
    if not question.allowed(base):
        return
    if not undecided:
        yield base
        return
    (location, kinds), *rest = undecided
    for kind in random_.sample(kinds, len(kinds)):
        yield from _allowed_placements(question, base.replace(location, kind), tuple(rest), random_)
