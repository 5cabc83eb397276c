"""What short runs say of long ones: the line between them, and what is promoted for it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from nas_attn.budget import Budget
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategy import Proposal, Question, next_step
from nas_attn.strategy.rungs import Bend, Relation, at_the_top, relations_to_top
from nas_attn.strategy.successive_halving import _best_within

SHORT, LONG = Budget(100, 32, 8), Budget(300, 32, 8)
LADDER = (SHORT, LONG)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return read_space("unet_attention_small", catalogue(), base_channels=8, image_size=32)


def record(
    number: int, placement: Placement, budget: Budget, iou: float | None, role: Role = Role.PROPOSAL
) -> TrialRecord:
    outcome = None if iou is None else Outcome(Score(iou, (iou,), 0.0), Cost(1, 1), (), 1.0)
    state = State.FAILED if iou is None else State.COMPLETE
    return TrialRecord(number, placement, budget, 0, role, state, None, outcome)


def normal_pairs(number: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    short = random.normal(size=number)
    top = correlation * short + math.sqrt(1 - correlation**2) * random.normal(size=number)
    return 0.5 + 0.1 * short, 0.8 + 0.01 * top


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_the_slope_is_the_correlation_where_there_are_many_pairs(correlation: float) -> None:
    short, top = normal_pairs(4000, correlation)
    relation = Relation.learn(short, top, list(zip(short, top, strict=True)))

    assert relation.slope == pytest.approx(correlation, abs=0.05)


def test_without_pairs_half_is_believed() -> None:
    short, top = normal_pairs(200, 0.9)
    relation = Relation.learn(short, top, [])

    assert relation.slope == 0.5
    assert relation.expected(float(np.median(short))) == pytest.approx(float(np.median(top)), abs=1e-9)


def test_that_only_the_best_were_promoted_does_not_bend_the_line() -> None:
    short, top = normal_pairs(6000, 0.8)
    best = short > np.quantile(short, 2 / 3)
    pairs = list(zip(short[best], top[best], strict=True))

    assert Relation.learn(short, top, pairs).slope == pytest.approx(0.8, abs=0.06)


def test_a_bend_and_its_inverse_agree() -> None:
    bend = Bend.of(np.array([0.7, 0.71, 0.72, 0.73, 0.74]))
    ious = np.array([0.1, 0.5, 0.69, 0.72, 0.75])

    assert [bend.iou(float(score)) for score in bend.scores(ious)] == pytest.approx(ious.tolist())


def test_each_placement_is_told_once_by_its_highest_rung(space: SearchSpace) -> None:
    one, other, broken = list(space.placements())[1:4]
    records = [
        record(0, one, SHORT, 0.5),
        record(1, other, SHORT, 0.6),
        record(2, one, LONG, 0.8),
        record(3, broken, SHORT, None),
    ]
    told = {held.placement: held for held in at_the_top(records, LADDER)}

    assert len(told) == 3
    assert told[one] == records[2]
    assert told[broken].outcome is None
    assert told[other].outcome is not None
    assert told[other].outcome.score.iou == relations_to_top(records, LADDER)[SHORT].expected(0.6)


def question(space: SearchSpace, records: Sequence[TrialRecord], costs: dict[Placement, float]) -> Question:
    return Question(
        space, tuple(records), (), len(records), 0, lambda one: costs.get(one, 1.0), "macs", lambda one: True
    )


def never(question: Question) -> Proposal | None:
    """A strategy that has nothing new."""
    return None


def test_who_is_promoted_depends_on_the_cost(space: SearchSpace) -> None:
    """The dearer one has the higher IoU, but less than what costs as much; the cheaper one beats its rivals."""
    plain, rival, cheap, dear = list(space.placements())[:4]
    costs = {plain: 1.0, cheap: 1.1, rival: 1.5, dear: 1.6}
    top = [record(0, plain, LONG, 0.80, Role.REFERENCE), record(1, rival, LONG, 0.90, Role.REFERENCE)]
    short = [
        record(2, plain, SHORT, 0.60, Role.REFERENCE),
        record(3, rival, SHORT, 0.70, Role.REFERENCE),
        record(4, cheap, SHORT, 0.65),
        record(5, dear, SHORT, 0.66),
    ]
    step = next_step(never, question(space, [*top, *short], costs), LADDER, ())

    assert step is not None
    assert (step.proposal.placement, step.budget) == (cheap, LONG)


def test_what_is_being_promoted_is_not_promoted_again(space: SearchSpace) -> None:
    plain, one, other = list(space.placements())[:3]
    records = [
        record(0, plain, LONG, 0.8, Role.REFERENCE),
        record(1, one, SHORT, 0.7),
        record(2, other, SHORT, 0.6),
    ]
    running = [record(3, one, LONG, None)]
    step = next_step(never, question(space, records, {}), LADDER, running)

    assert step is not None
    assert step.proposal.placement == other


def test_what_has_no_chance_is_not_promoted(space: SearchSpace) -> None:
    """Its short run collapsed, while twenty others show that short runs foretell long ones."""
    plain, bad, *others = list(space.placements())[:22]
    known = [
        record(2 * number, placement, budget, base + 0.002 * number, Role.REFERENCE)
        for number, placement in enumerate([plain, *others])
        for budget, base in ((SHORT, 0.6), (LONG, 0.8))
    ]
    step = next_step(never, question(space, [*known, record(99, bad, SHORT, 0.3)], {}), LADDER, ())

    assert step is None


def test_with_one_budget_the_strategy_decides_alone(space: SearchSpace) -> None:
    wanted = next(iter(space.placements()))
    step = next_step(lambda asked: Proposal(wanted), question(space, (), {}), (LONG,), ())

    assert step is not None
    assert (step.proposal.placement, step.budget) == (wanted, LONG)


@pytest.mark.parametrize(("n_short", "climbs"), [(8, False), (9, True)])
def test_each_rung_gets_as_much_compute_as_the_next(space: SearchSpace, n_short: int, climbs: bool) -> None:
    """A long run costs nine short ones."""
    plain, new, *others = list(space.placements())[: 2 + n_short]
    ladder = (SHORT, Budget(900, 32, 8))
    records = [record(0, plain, ladder[1], 0.8, Role.REFERENCE)]
    records += [record(1 + n, placement, SHORT, 0.6 + 0.001 * n) for n, placement in enumerate(others)]
    step = next_step(lambda asked: Proposal(new), question(space, records, {}), ladder, ())

    assert step is not None
    assert (step.budget == ladder[1]) == climbs
    assert (step.proposal.placement == new) != climbs


def test_one_of_three_promotions_is_drawn_by_lot(space: SearchSpace) -> None:
    """The short runs of twelve placements say clearly which are the best. One of these is the first and the second
    at the top, any may be the third."""
    plain, *others = list(space.placements())[:13]
    short = [record(1 + n, placement, SHORT, 0.5 + 0.01 * n) for n, placement in enumerate(others)]
    records = [record(0, plain, LONG, 0.5, Role.REFERENCE), *short]

    def promoted(running: Sequence[TrialRecord]) -> set[Placement]:
        asked = question(space, records, {})
        steps = [next_step(never, replace(asked, number=50 + n), LADDER, running) for n in range(12)]
        return {step.proposal.placement for step in steps if step is not None}

    assert promoted([]) <= set(others[-4:])
    assert promoted([record(40, others[-1], LONG, None)]) <= set(others[-5:-1])
    assert len(promoted([record(40 + n, others[n - 2], LONG, None) for n in range(2)])) > 4


def test_what_ran_only_on_a_rung_that_is_left_out_is_new_once_more(space: SearchSpace) -> None:
    plain, short_only, new, *others = list(space.placements())[:12]
    records = [
        record(2 * number + long, placement, budget, 0.6 + sign * 0.01 * number, Role.REFERENCE)
        for number, placement in enumerate([plain, *others])
        for long, (budget, sign) in enumerate(zip(LADDER, (1, -1), strict=True))
    ]
    records.append(record(90, short_only, SHORT, 0.65))
    asked: list[Question] = []

    def strategy(question: Question) -> Proposal:
        asked.append(question)
        return Proposal(new)

    known = frozenset(held.placement for held in records)
    step = next_step(strategy, replace(question(space, records, {}), known=known), LADDER, ())
    assert step is not None
    assert step.budget == LONG
    assert asked[0].known == {plain, *others}


def test_what_is_promoted_is_what_all_runs_speak_for(space: SearchSpace) -> None:
    """The lucky one has the higher IoU, but half of the others hold its attention, and all of these are worse, at
    both budgets."""
    location, (_, good, bad) = next(pair for pair in space.choices if len(pair[1]) == 3)
    draw = random.Random(0)
    bases = list(dict.fromkeys(space.sample(draw).replace(location, good) for _ in range(42)))
    records = [
        record(2 * number + long, one.replace(location, kind), budget, iou + draw.gauss(0, 0.004), Role.REFERENCE)
        for number, one in enumerate(bases[2:])
        for kind, iou in [draw.choice([(good, 0.63), (bad, 0.59)])]
        for long, budget in enumerate(LADDER)
    ]
    lucky, sound = bases[0].replace(location, bad), bases[1]
    records += [record(90, lucky, SHORT, 0.64), record(91, sound, SHORT, 0.63)]
    step = next_step(never, question(space, records, {}), LADDER, ())

    assert step is not None
    assert step.proposal.placement == sound


def test_the_best_within_a_cost_counts_equals() -> None:
    scores = np.array([[1.0, 3.0, 2.0, 5.0], [4.0, 0.0, 6.0, 5.0]])
    best = _best_within(scores, np.array([1.0, 2.0, 2.0, 0.5]))
    assert best.tolist() == [[5.0, 5.0, 5.0, 5.0], [5.0, 6.0, 6.0, 5.0]]
    turned = _best_within(scores, np.array([4.0, 3.0, 2.0, 1.0]))
    assert turned.tolist() == [[5.0, 5.0, 5.0, 5.0], [6.0, 6.0, 6.0, 5.0]]
