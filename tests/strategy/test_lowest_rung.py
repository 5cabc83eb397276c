"""On which rung new placements begin: which short runs are believed, and from when on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from nas_attn.analysis import Interval, RungFidelity
from nas_attn.budget import Budget
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategy import Proposal, Question, Step, lowest_rung, next_step, twins
from nas_attn.strategy.rungs import LEAST_TWINS, MOST_TWINS, _is_useless

SHORT, MIDDLE, LONG = Budget(100, 32, 8), Budget(300, 32, 8), Budget(900, 32, 8)
LADDER = (SHORT, MIDDLE, LONG)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return read_space("unet_attention_small", catalogue(), base_channels=8, image_size=32)


def record(
    number: int, placement: Placement, budget: Budget, iou: float = 0.6, role: Role = Role.PROPOSAL, seed: int = 0
) -> TrialRecord:
    outcome = Outcome(Score(iou, (iou,), 0.0), Cost(1, 1), (), 1.0)
    return TrialRecord(number, placement, budget, seed, role, State.COMPLETE, None, outcome)


def both(placements: Sequence[Placement], shorts: Sequence[float], *, first: Budget = LONG) -> list[TrialRecord]:
    """RungRuns of 900 steps, each placement better than the one before, and of 100.

    Args:
        placements: of the runs.
        shorts: IoUs of the short runs.
        first: the budget that every placement ran with first.
    """
    records = []
    for number, (placement, iou) in enumerate(zip(placements, shorts, strict=True)):
        pair = [(LONG, 0.7 + 0.001 * number), (SHORT, iou)]
        for place, (budget, shown) in enumerate(pair if first == LONG else reversed(pair)):
            records.append(record(2 * number + place, placement, budget, shown))
    return records


def rising(number: int) -> list[float]:
    return [0.5 + 0.001 * n for n in range(number)]


def question(space: SearchSpace, records: Sequence[TrialRecord]) -> Question:
    return Question(space, tuple(records), (), len(records), 0, lambda one: 1.0, "macs", lambda one: True)


def step_on_proof(
    space: SearchSpace,
    records: Sequence[TrialRecord],
    new: Placement,
    running: Sequence[TrialRecord] = (),
    *,
    only_promote: bool = False,
) -> Step:
    step = next_step(
        lambda asked: Proposal(new),
        question(space, records),
        LADDER,
        running,
        on_proof=True,
        only_promote=only_promote,
    )
    assert step is not None
    return step


def test_without_proof_a_new_placement_runs_in_full(space: SearchSpace) -> None:
    new, *_ = space.placements()

    assert step_on_proof(space, [], new) == Step(Proposal(new), LONG)


def test_what_ran_in_full_then_runs_short_with_the_same_seed(space: SearchSpace) -> None:
    new, one, other, *_ = space.placements()
    records = [record(0, one, LONG, seed=3), record(1, other, LONG, seed=4)]
    first = step_on_proof(space, records, new)
    second = step_on_proof(space, records, new, [record(2, one, SHORT, seed=3)])
    third = step_on_proof(space, [*records, record(2, one, SHORT, seed=3)], new, [record(3, other, SHORT, seed=4)])

    assert first == Step(Proposal(one), SHORT, 3)
    assert second == Step(Proposal(other), SHORT, 4)
    assert third == Step(Proposal(new), LONG)


def test_near_the_end_nothing_is_proven_any_more(space: SearchSpace) -> None:
    new, one, *_ = space.placements()

    assert step_on_proof(space, [record(0, one, LONG)], new, only_promote=True) == Step(Proposal(new), LONG)


def test_the_proof_is_given_up_after_so_many_short_runs(space: SearchSpace) -> None:
    """The references' count."""
    new, last, *others = list(space.placements())[: 2 + MOST_TWINS]
    unrelated = [0.5 + 0.001 * (7 * n % MOST_TWINS) for n in range(MOST_TWINS)]
    records = [*both(others, unrelated), record(90, last, LONG)]

    assert lowest_rung(records, LADDER, on_proof=True) == 2
    assert step_on_proof(space, records, new) == Step(Proposal(new), LONG)
    assert step_on_proof(space, records[2:], new) == Step(Proposal(last), SHORT, 0)


def test_once_proven_new_placements_begin_with_short_runs(space: SearchSpace) -> None:
    new, *others = list(space.placements())[: 1 + LEAST_TWINS]
    records = both(others, rising(LEAST_TWINS))

    assert lowest_rung(records, LADDER, on_proof=True) == 0
    assert lowest_rung(records[2:], LADDER, on_proof=True) == 2, "one placement fewer is too few"
    assert step_on_proof(space, records, new) == Step(Proposal(new), SHORT)


def test_what_climbed_is_no_proof(space: SearchSpace) -> None:
    placements = list(space.placements())[:30]
    climbed = both(placements, rising(30), first=SHORT)

    assert twins(climbed, LADDER) is None
    assert lowest_rung(climbed, LADDER, on_proof=True) == 2


def test_what_climbs_later_may_refute_it(space: SearchSpace) -> None:
    placements = list(space.placements())[:60]
    proof = both(placements[:LEAST_TWINS], rising(LEAST_TWINS))
    falling = [0.6 - 0.001 * n for n in range(60 - LEAST_TWINS)]
    climbed = [
        replace(held, number=100 + held.number) for held in both(placements[LEAST_TWINS:], falling, first=SHORT)
    ]

    assert lowest_rung([*proof, *climbed[:4]], LADDER, on_proof=True) == 0
    assert lowest_rung([*proof, *climbed], LADDER, on_proof=True) == 2


@pytest.mark.parametrize(
    ("correlation", "n_placements", "high", "attainable", "useless"),
    [
        (0.3, 12, 0.7, 1.0, True),
        (0.3, 12, 0.7, 0.6, False),
        (0.3, 7, 0.7, 1.0, False),
        (0.3, 12, 0.7, None, False),
        (0.3, 16, 0.7, None, True),
        (0.0, 12, 0.35, None, True),
        (0.0, 7, 0.35, None, False),
    ],
)
def test_a_rung_is_judged_by_what_its_correlation_could_be(
    correlation: float, n_placements: int, high: float, attainable: float | None, useless: bool
) -> None:
    interval = Interval(-0.5, high)
    rung = RungFidelity(SHORT, LONG, n_placements, n_placements, correlation, interval, attainable)
    assert _is_useless(rung) is useless
