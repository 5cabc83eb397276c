"""The doubling of the budget."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategy.schedule.probe import MOST_DOUBLINGS, converged_budget, probe

FIRST = Budget(100, 32, 8)


def probes(plain: Placement, pairs: Sequence[tuple[float, float]]) -> list[TrialRecord]:
    """Finished probes, two seeds for each budget."""
    found = []
    for number, iou in enumerate(iou for pair in pairs for iou in pair):
        one = probe(plain, FIRST, 0, number)
        outcome = Outcome(Score(iou, (iou,), 0.0), Cost(1, 1), (), 1.0)
        found.append(
            TrialRecord(number, plain, one.budget, one.seed, Role.CONTROL, State.COMPLETE, "plain", outcome)
        )
    return found


@pytest.mark.parametrize(
    ("pairs", "steps"),
    [
        ([(0.60, 0.61), (0.70, 0.71), (0.705, 0.71)], 200),
        ([(0.60, 0.61), (0.605, 0.61)], 100),
        ([(0.60, 0.40), (0.50, 0.50), (0.70, 0.70), (0.70, 0.70)], 400),
        ([(0.60, 0.50), (0.60, 0.51), (0.61, 0.50)], 100),
    ],
    ids=["gains, then nothing", "nothing", "seeds that disagree are not trusted", "or twice in a row"],
)
def test_the_shortest_budget_that_gains_nothing_is_taken(
    space: SearchSpace, pairs: list[tuple[float, float]], steps: int
) -> None:
    found = converged_budget(FIRST, probes(space.plain, pairs))

    assert found is not None
    assert (found[0].steps, found[1]) == (steps, 2 * len(pairs))


def test_what_still_gains_is_doubled_again(space: SearchSpace) -> None:
    assert converged_budget(FIRST, probes(space.plain, [(0.60, 0.61), (0.70, 0.71)])) is None
    assert converged_budget(FIRST, ()) is None


def test_later_trials_change_nothing(space: SearchSpace) -> None:
    enough = [(0.60, 0.61), (0.605, 0.61)]
    later = [*enough, (0.9, 0.9), (0.95, 0.95)]

    assert converged_budget(FIRST, probes(space.plain, enough)) == converged_budget(
        FIRST, probes(space.plain, later)
    )


def test_what_always_gains_ends_with_the_last_doubling(space: SearchSpace) -> None:
    pairs = [(0.1 + 0.05 * doubling, 0.1 + 0.05 * doubling) for doubling in range(MOST_DOUBLINGS + 1)]
    found = converged_budget(FIRST, probes(space.plain, pairs))

    assert found is not None
    assert found[0].steps == 100 * 2**MOST_DOUBLINGS
