"""What placements that ran out of memory rule out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, Outcome, OutOfMemory, Role, Score, State, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategy.schedule.room import Fits, Room

BIG, SMALL = "cuda: big", "cuda: small"


class World:
    """Placements whose estimates are their numbers, and a room that has heard of some."""

    def __init__(self, space: SearchSpace) -> None:
        self.placements = list(space.placements())[:10]
        self.room = Room(self.placements.index)

    def trained(self, size: int, device: str = BIG) -> None:
        cost = Cost(1, 1, device=device)
        outcome = Outcome(Score(0.5, (0.5,), 0.1), cost, (), 1.0)
        self.room.add(replace(self._record(size), state=State.COMPLETE, outcome=outcome))

    def short(self, size: int, device: str = BIG) -> None:
        shortage = OutOfMemory(device, 9.0, 8.0)
        self.room.add(replace(self._record(size), state=State.FAILED, failure="no room", shortage=shortage))

    def _record(self, size: int) -> TrialRecord:
        return TrialRecord(0, self.placements[size], Budget(1, 32, 8), 0, Role.PROPOSAL, State.RUNNING)


@pytest.fixture
def world(space: SearchSpace) -> World:
    return World(space)


def test_nothing_is_ruled_out_as_long_as_all_have_room(world: World) -> None:
    world.trained(9)
    assert world.room.ceiling is None


def test_the_smallest_that_ran_out_is_the_ceiling(world: World) -> None:
    world.trained(3)
    world.short(8)
    assert world.room.ceiling == 8
    world.short(6)
    assert world.room.ceiling == 6


def test_what_ran_out_beside_a_larger_one_that_did_not_teaches_nothing(world: World) -> None:
    """Others held the memory just then."""
    world.short(4)
    world.trained(5)
    assert world.room.ceiling is None
    world.short(7)
    assert world.room.ceiling == 7


def test_a_larger_device_says_nothing_about_a_smaller_one(world: World) -> None:
    """Whoever gets a trial has to have room for it."""
    world.trained(9, BIG)
    world.short(5, SMALL)
    assert world.room.ceiling == 5


def test_where_the_device_is_not_known_all_are_compared(world: World) -> None:
    world.trained(6, BIG)
    world.short(5, "")
    assert world.room.ceiling is None
    world.short(7, "")
    assert world.room.ceiling == 7


def test_an_estimate_is_not_asked_for_before_it_is_needed(space: SearchSpace) -> None:
    def never(placement: Placement) -> int:
        raise AssertionError("asked")

    world = World(space)
    world.room = Room(never)
    world.trained(3)
    assert world.room.ceiling is None


def test_what_fits_is_below_the_ceiling_and_within_the_limits(world: World) -> None:
    first, *_, last = world.placements
    assert Fits(lambda _: True, world.placements.index, 9)(first)
    assert not Fits(lambda _: True, world.placements.index, 9)(last)
    assert not Fits(lambda _: False, world.placements.index, 9)(first)
