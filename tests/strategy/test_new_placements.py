from __future__ import annotations

import itertools
import random

import pytest

from nas_attn.models.placement import NONE, AttentionSpec, Placement
from nas_attn.strategy.new_placements import (
    LISTABLE,
    affordable,
    any_new,
    cheapest_placement,
    nearest_new,
    newness,
)


def apart(one: Placement, other: Placement) -> int:
    return sum(a != b for (_, a), (_, b) in zip(one, other, strict=True))


def attended(placement: Placement) -> int:
    return len(placement.attended)


def everywhere(space, name: str) -> Placement:
    return Placement(tuple((location, AttentionSpec(name)) for location, _ in space.choices))


def at_most_two_attended(space) -> list[Placement]:
    single = [(location, kind) for location, kinds in space.choices for kind in kinds if kind != NONE]
    pairs = itertools.combinations(single, 2)
    return [
        space.plain,
        *(space.plain.replace(*pair) for pair in single),
        *(space.plain.replace(*one).replace(*other) for one, other in pairs if one[0] != other[0]),
    ]


def test_a_placement_is_new_until_it_is_recorded_or_pending(space_of, play) -> None:
    space = space_of(2, 3)
    done, running, free = itertools.islice(space.placements(), 3)
    game = play(space)
    game.records.append(game.record(done))
    is_new = newness(game.question(pending=[running]))
    assert [is_new(done), is_new(running), is_new(free)] == [False, False, True]


def test_a_failed_placement_is_not_new(space_of, play) -> None:
    space = space_of(2, 3)
    game = play(space, fails=lambda placement: True)
    game.records.append(game.record(space.plain))
    assert not newness(game.question())(space.plain)


def test_a_forbidden_placement_is_not_new(space_of, play) -> None:
    space = space_of(2, 3)
    assert not newness(play(space, allowed=lambda placement: placement != space.plain).question())(space.plain)


def test_a_new_start_is_its_own_nearest(space_of, play) -> None:
    space = space_of(2, 3)
    question = play(space).question()
    start = space.sample(random.Random(3))
    assert nearest_new(question, newness(question), start, random.Random(0)) == start


def test_a_known_start_gives_a_placement_one_location_away(space_of, play) -> None:
    space = space_of(4, 8)
    game = play(space)
    start = space.sample(random.Random(3))
    game.records.append(game.record(start))
    question = game.question()
    near = {nearest_new(question, newness(question), start, random.Random(seed)) for seed in range(8)}
    assert {apart(start, placement) for placement in near} == {1}
    assert len(near) > 4


def test_the_only_new_neighbour_is_found_among_many_known_ones(space_of, play) -> None:
    space = space_of(4, 8)
    start = space.sample(random.Random(3))
    neighbours = [
        start.replace(location, kind)
        for location, kinds in space.choices
        for kind in kinds
        if kind != start[location]
    ]
    question = play(space).question(pending=[start, *neighbours[:40], *neighbours[41:]])
    assert nearest_new(question, newness(question), start, random.Random(0)) == neighbours[40]


def test_two_locations_change_where_every_single_change_is_known(space_of, play) -> None:
    space = space_of(4, 8)
    start = space.sample(random.Random(3))
    neighbours = [start.replace(location, kind) for location, kinds in space.choices for kind in kinds]
    question = play(space).question(pending=neighbours)
    found = nearest_new(question, newness(question), start, random.Random(0))
    assert apart(start, found) == 2


@pytest.mark.parametrize("seed", range(5))
def test_a_forbidden_start_loses_as_few_attentions_as_it_must(space_of, play, seed: int) -> None:
    space = space_of(4, 8)
    question = play(space, allowed=lambda placement: attended(placement) <= 3).question()
    start = everywhere(space, "g")
    found = nearest_new(question, newness(question), start, random.Random(seed))
    assert attended(found) == 3
    assert all(spec in (NONE, AttentionSpec("g")) for _, spec in found)


@pytest.mark.parametrize("seed", range(5))
def test_no_change_of_an_affordable_placement_can_be_taken_back(space_of, play, seed: int) -> None:
    space = space_of(4, 8)
    game = play(space)
    ceiling = 1.05 * game.cost(space.plain)
    question = play(space, allowed=lambda placement: game.cost(placement) <= ceiling).question()
    start = space.sample(random.Random(seed))
    found = affordable(question, start, cheapest_placement(question), random.Random(seed))
    assert game.cost(start) > ceiling >= game.cost(found)
    changed = [location for location, spec in found if spec != start[location]]
    assert changed
    assert all(game.cost(found.replace(location, start[location])) > ceiling for location in changed)


def test_nothing_is_affordable_below_the_cheapest_placement(space_of, play) -> None:
    space = space_of(2, 3)
    question = play(space, allowed=lambda placement: False).question()
    assert affordable(question, everywhere(space, "a"), space.plain, random.Random(0)) is None


def test_without_none_the_cheapest_choice_of_each_location_is_the_cheapest_placement(space_of, play) -> None:
    space = space_of(2, 3, with_none=False)
    game = play(space)
    assert cheapest_placement(game.question()) == min(space.placements(), key=game.cost)


@pytest.mark.parametrize(("n_open", "n_kinds"), [(4, 3), (6, 5)], ids=["listed", "cut_down_branch_by_branch"])
def test_each_allowed_placement_turns_up_once_and_then_none(space_of, play, n_open: int, n_kinds: int) -> None:
    """Most are pending at first, so that the search has to go around them."""
    space = space_of(2, n_kinds, n_open)
    assert (space.size <= LISTABLE) == (n_open == 4)
    wanted = at_most_two_attended(space)
    pending = wanted[:-30:2] + wanted[1:-30:2]
    game = play(space, allowed=lambda placement: attended(placement) <= 2)
    found = set()
    for seed in range(len(wanted)):
        question = game.question(pending=[*pending, *found])
        placement = any_new(question, newness(question), random.Random(seed))
        if placement is None:
            break
        found.add(placement)
    assert found == set(wanted) - set(pending)


def test_a_small_space_is_searched_whatever_the_rule(space_of, play) -> None:
    """Forbidding the plain placement is not a ceiling: the way down through cheaper placements is barred."""
    space = space_of(2, 3)
    only = everywhere(space, "b")
    question = play(space, allowed=lambda placement: placement == only).question()
    assert nearest_new(question, newness(question), space.plain, random.Random(0)) == only


def test_one_allowed_placement_in_a_huge_space_is_found_and_its_loss_noticed(space_of, play) -> None:
    space = space_of(4, 8)
    game = play(space, allowed=lambda placement: attended(placement) == 0)
    question = game.question()
    assert nearest_new(question, newness(question), everywhere(space, "g"), random.Random(0)) == space.plain
    question = game.question(pending=[space.plain])
    assert nearest_new(question, newness(question), everywhere(space, "g"), random.Random(0)) is None


def test_a_huge_space_in_which_nothing_is_allowed_ends_at_once(space_of, play) -> None:
    asked = []
    game = play(space_of(4, 8), allowed=asked.append)
    question = game.question()
    assert nearest_new(question, newness(question), everywhere(game.space, "g"), random.Random(0)) is None
    assert len(asked) < 10
