"""Whether a budget is long enough: by the changes of differences that doubling it brings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nas_attn.analysis import rank
from nas_attn.analysis.convergence import plain_convergence
from nas_attn.analysis.doubling import LONG_ENOUGH, doubling_of
from nas_attn.analysis.noise import Noise, PooledSd
from nas_attn.analysis.runs import select_runs
from nas_attn.budget import Budget
from nas_attn.record import PROBE, Role, TrialRecord
from nas_attn.wording.budgets import convergence_sentence

Make = Callable[..., Any]
BUDGET = Budget(100, 64, 8)
NOISE = Noise(PooledSd(0.004, 4.0), PooledSd(0.008, 2.0))


@pytest.fixture
def draw_study(record: Make, numbered: Make) -> Callable[..., list[TrialRecord]]:
    """The baseline and references with three seeds at both budgets; seeds shift all runs of a budget alike."""

    def make(changes: Sequence[float], noise: float = 0.0, number: int = 0, doubling: float = 0.009) -> Any:
        draw = np.random.default_rng(number)
        found: list[TrialRecord] = []
        for steps in (100, 200):
            for row, change in enumerate([0.0, *changes]):
                for seed in range(3):
                    iou = 0.8 + 0.003 * row + (doubling + change) * (steps == 200) + 0.01 * seed
                    iou += noise * float(draw.standard_normal())
                    one = record(len(found), numbered(row), seed, iou, steps=steps, role=Role.REFERENCE)
                    memory = {PROBE: True} if steps == 200 else {}
                    found.append(replace(one, reference=f"reference {row}" if row else "plain", memory=memory))
        return found

    return make


def judged(records: Sequence[TrialRecord], worth: float) -> bool | None:
    return plain_convergence(records, BUDGET, NOISE, worth).converged


def test_settled_differences_are_long_enough_though_the_baseline_still_gains_a_point(draw_study: Make) -> None:
    assert judged(draw_study((0.001, -0.001), 0.0003), 0.005) is True


def test_differences_that_grow_are_too_short_though_the_baseline_has_flattened(draw_study: Make) -> None:
    records = draw_study((0.03, 0.02), 0.001, doubling=0.0)
    assert judged(records, 0.005) is False
    assert judged(records, 0.05) is True, "for one who asks for less"


def test_changes_of_opposite_sign_do_not_hide_each_other(draw_study: Make) -> None:
    assert judged(draw_study((0.03, -0.03), 0.001), 0.005) is False


def test_a_baseline_that_gains_more_than_five_points_is_unfinished(draw_study: Make) -> None:
    assert judged(draw_study((0.0, 0.0), 0.0003, doubling=0.06), 0.005) is False


def test_what_the_noise_hides_is_not_known(draw_study: Make) -> None:
    assert judged(draw_study((0.002, 0.001), 0.01), 0.002) is None


def test_without_references_at_both_budgets_there_is_no_doubling(draw_study: Make) -> None:
    records = draw_study((0.0, 0.0))
    assert doubling_of([one for one in records if one.budget == BUDGET], BUDGET) is None
    assert doubling_of([one for one in records if not one.placement.attended], BUDGET) is None


def test_the_mean_change_and_its_interval_are_those_of_the_paired_differences(draw_study: Make) -> None:
    """The interval holds the truth as often as it says, by drawing studies."""
    n_held, truth = 0, 0.004
    for number in range(400):
        found = doubling_of(draw_study((0.006, 0.002), 0.004, number), BUDGET)
        assert found is not None
        interval = found.interval(LONG_ENOUGH)
        assert interval is not None
        n_held += interval.low <= truth <= interval.high
    assert abs(n_held / 400 - 0.8) < 3 * (0.8 * 0.2 / 400) ** 0.5


def test_it_is_seldom_called_too_short_where_nothing_changes(draw_study: Make) -> None:
    """Even where a user asks for next to nothing: of 300 studies with a true change of 0, about 5 %."""
    wrong = sum(judged(draw_study((0.0, 0.0), 0.004, number), 0.00001) is False for number in range(300))
    assert wrong <= 300 * 0.10


def test_runs_for_twice_the_steps_are_not_ranked(draw_study: Make) -> None:
    records = draw_study((0.0, 0.0))
    assert select_runs(records).budget == BUDGET
    assert rank(records).budget == BUDGET
    longest = [one for one in records if one.budget != BUDGET]
    assert select_runs(longest).budget == replace(BUDGET, steps=200), "unless there is nothing else"


@pytest.mark.parametrize(
    ("changes", "worth", "end"),
    [
        (
            (0.0005, 0.0015),
            0.005,
            "(80 % interval 0.1 to 0.1, 3 seeds): long enough to resolve differences of 0.5.",
        ),
        (
            (0.02, 0.04),
            0.005,
            "(95 % interval 3.0 to 3.0, 3 seeds), individually by +2.0, +4.0: too short to resolve differences "
            "of 0.5, so this ranking shows which placement learns fastest, not which ends best. Search "
            "again with --steps 200 or more.",
        ),
    ],
)
def test_it_is_said_in_a_sentence(draw_study: Make, changes: tuple[float, float], worth: float, end: str) -> None:
    said = convergence_sentence(plain_convergence(draw_study(changes), BUDGET, NOISE, worth))
    mean = f"{100 * sum(changes) / 2:+.1f}"
    assert said == (
        "Baseline, IoU x100: 80.0 after 100 steps, 80.9 after 200 steps; twice the search's 100 steps change it "
        "by +0.9. "
        "Doubling the 100 steps changes what reference 1 and reference 2 gain on average by "
        f"{mean} IoU points {end}"
    )
