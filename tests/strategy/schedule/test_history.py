"""What the finished trials are to those who decide the next one: the same, whenever it is asked for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from nas_attn.budget import Budget
from nas_attn.errors import DivergedError
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, Outcome, OutOfMemory, Role, Score, State, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategy.schedule.history import Fits, History, Room
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LookupEvaluator

SHORT, TOP = Budget(100, 32, 8), Budget(400, 32, 8)


@pytest.fixture(scope="module")
def records(space: SearchSpace) -> list[TrialRecord]:
    """60 placements, some of them at two budgets, some with two seeds, some failed."""
    judge, generator = LookupEvaluator(space), random.Random(1)
    placements = [space.plain, *dict.fromkeys(space.sample(generator) for _ in range(60))]
    made: list[TrialRecord] = []
    for placement in placements:
        for budget, seed in ((SHORT, 0), (TOP, 0), (TOP, 1), (Budget(800, 32, 8), 0)):
            if generator.random() < 0.6:
                failed = placement.attended and generator.random() < 0.1
                outcome = None if failed else judge(placement, budget, seed)
                state = State.FAILED if failed else State.COMPLETE
                role, why = generator.choice(list(Role)), "it diverged" if failed else None
                made.append(
                    TrialRecord(len(made), placement, budget, seed, role, state, outcome=outcome, failure=why)
                )
    generator.shuffle(made)
    return [replace(record, number=number) for number, record in enumerate(made)]


def followed(records: Sequence[TrialRecord], *lengths: int) -> History:
    """A history that saw the records in these portions."""
    found = History((SHORT, TOP), lambda placement: 0)
    for length in lengths:
        found.follow(records[:length])
    return found


def test_only_what_was_evaluated_on_the_ladder_is_known(records: list[TrialRecord]) -> None:
    found = followed(records, len(records))

    assert found.records == [record for record in records if record.budget in (SHORT, TOP)]
    assert found.placements == {record.placement for record in found.records}
    assert found.n_proposals == sum(record.role is Role.PROPOSAL for record in records)


def test_it_does_not_matter_in_which_portions_the_trials_came(records: list[TrialRecord]) -> None:
    at_once = followed(records, len(records))
    for portions in ((1, 2, 3, 90, len(records)), range(len(records) + 1)):
        by_portions = followed(records, *portions)
        assert by_portions.records == at_once.records
        assert by_portions.placements == at_once.placements
        assert by_portions.begun == at_once.begun


def test_other_trials_than_before_are_taken_in_from_the_first(records: list[TrialRecord]) -> None:
    found, others = followed(records, len(records)), list(reversed(records))
    for wanted in (records[:40], others[:40], others):
        found.follow(wanted)
        assert found.records == followed(wanted, len(wanted)).records


def test_runs_at_the_top_are_known_by_placement_and_seed(records: list[TrialRecord]) -> None:
    found = followed(records, len(records))
    top = [record for record in records if record.budget == TOP]

    assert found.begun == {(record.placement, record.seed) for record in top}
    assert found.plain_seeds == {record.seed for record in top if not record.placement.attended}
    assert found.failed == {record.placement for record in found.records if record.state is State.FAILED}
    assert found.plain_scores == {
        record.seed: record.outcome.score.iou
        for record in top
        if not record.placement.attended and record.outcome and record.role is not Role.FINALIST
    }


@pytest.mark.parametrize("ladder", [(), (100, 200)], ids=["one budget", "ladder"])
def test_a_search_that_goes_on_decides_as_one_that_begins_anew(
    ladder: tuple[int, ...], studies: Any, space: SearchSpace
) -> None:
    studies.change(ladder=ladder, trials=60)
    judge = LookupEvaluator(space, failure_share=0.1)

    def evaluate(placement: Placement, budget: Budget, seed: int) -> Outcome:
        if seed == 3 and placement.attended:
            raise DivergedError("the loss became nan")
        return judge(placement, budget, seed)

    records = run_trials(
        studies.settings, studies.ledger(), studies.agenda(), InlinePool(evaluate), lambda _: None
    )

    for number in range(30, 60):
        anew = studies.agenda().next(list(records[:number]), [])
        assert (anew.placement, anew.budget, anew.seed) == (
            records[number].placement,
            records[number].budget,
            records[number].seed,
        )


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
