"""Runs that collapsed are told from the noise, and noise from runs that collapsed."""

from __future__ import annotations

import numpy as np
import pytest

from nas_attn.analysis.collapse import Collapses, _design, _without, collapsed_seeds, find_collapses

NOISE, DROP = 0.003, 0.3


def tables(
    number: int, risk: float, n_rows: int, n_seeds: int
) -> tuple[list[dict[int, float]], set[tuple[int, int]]]:
    """Levels, seeds and noise, and which runs then fell by 0.15 to 0.3."""
    draw = np.random.default_rng([number, n_rows, n_seeds])
    levels, seeds = draw.normal(0.8, 0.01, n_rows), draw.normal(0, 0.01, n_seeds)
    scores = levels[:, None] + seeds + draw.normal(0, NOISE, (n_rows, n_seeds))
    fallen = draw.random((n_rows, n_seeds)) < risk
    scores -= fallen * draw.uniform(DROP / 2, DROP, scores.shape)
    table = [dict(enumerate(row)) for row in scores.tolist()]
    return table, {(int(row), int(seed)) for row, seed in np.argwhere(fallen)}


def flagged(found: Collapses) -> set[tuple[int, int]]:
    alone = {(row, seed) for row, seeds in enumerate(found.runs) for seed in seeds}
    return alone | {(0, seed) for seed in found.seeds}


@pytest.mark.parametrize(("n_rows", "n_seeds"), [(3, 3), (10, 5), (2, 5)])
def test_normal_noise_is_no_collapse(n_rows: int, n_seeds: int) -> None:
    assert not any(flagged(find_collapses(tables(n, 0.0, n_rows, n_seeds)[0], 0)) for n in range(200))


def test_several_collapsed_runs_do_not_hide_each_other() -> None:
    """Of 50 runs a twentieth and a tenth; those of one seed may be told as the seed's."""
    for risk in (0.05, 0.1):
        for number in range(60):
            table, fallen = tables(number, risk, 10, 5)
            found = find_collapses(table, 0)
            told = flagged(found) | {(row, seed) for seed in found.seeds for row in range(10)}
            assert fallen <= told
            assert flagged(found) <= fallen


def test_residuals_without_a_run_are_those_of_least_squares_without_it() -> None:
    draw = np.random.default_rng(0)
    runs = [(row, seed, float(draw.normal())) for row in range(5) for seed in range(4)]
    design, scores = _design(runs), np.array([iou for _, _, iou in runs])
    hat = design @ np.linalg.pinv(design)
    residuals, smaller = _without(scores - hat @ scores, hat, 7)
    kept = np.arange(len(runs)) != 7
    expected = scores[kept] - design[kept] @ np.linalg.lstsq(design[kept], scores[kept], rcond=None)[0]
    assert residuals[kept] == pytest.approx(expected)
    again = _without(residuals, smaller, 3)[0]
    kept[3] = False
    expected = scores[kept] - design[kept] @ np.linalg.lstsq(design[kept], scores[kept], rcond=None)[0]
    assert again[kept] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("plain", "seeds"),
    [
        ({0: 0.829, 1: 0.827, 2: 0.50}, {2}),
        ({0: 0.50, 1: 0.827, 2: 0.829}, {0}),
        ({0: 0.83, 1: 0.80, 2: 0.77}, set()),
        ({0: 0.83, 1: 0.50}, set()),
        ({0: 0.6, 1: 0.5, 2: 0.4, 3: 0.3}, set()),
        ({}, set()),
    ],
    ids=["last", "first", "noise", "two cannot tell", "loud", "none"],
)
def test_a_seed_is_lost_where_the_plain_u_net_collapsed(plain: dict[int, float], seeds: set[int]) -> None:
    assert collapsed_seeds(plain) == seeds


def test_a_seed_that_fails_all_is_the_seeds_fault_and_no_placements() -> None:
    table = [{seed: 0.8 + 0.001 * row - (0.3 + 0.05 * row) * (seed == 2) for seed in range(5)} for row in range(4)]
    found = find_collapses(table, 0)
    assert found.seeds == {2}
    assert not any(found.runs)
    assert found.n_runs == (4, 4, 4, 4)
    assert found.clean(3, table[3]) == {seed: iou for seed, iou in table[3].items() if seed != 2}


def test_the_plain_u_nets_own_collapse_is_told_by_the_others_runs_of_its_seed() -> None:
    """It lies within the seeds' scatter, but not beside the others."""
    moves = {0: 0.0, 1: 0.06, 2: -0.05, 3: 0.02, 4: -0.02, 5: 0.0}
    draw = np.random.default_rng(1)
    table = [{seed: 0.7 + move + draw.normal(0, 0.002) for seed, move in moves.items()} for _ in range(6)]
    table[0][1] -= 0.05
    found = find_collapses(table, 0)
    assert found.runs == (frozenset({1}), *[frozenset()] * 5)
    assert not found.seeds


def test_a_placement_loses_what_its_risk_costs_beyond_the_usual() -> None:
    """One of five runs of one of ten placements: (1 + 10 / 50) / (5 + 10) - 1 / 50, times the drop."""
    table, _ = tables(1, 0.0, 10, 5)
    table[4][3] -= 0.4
    found = find_collapses(table, 0)
    assert found.runs[4] == {3}
    drop = sum(iou for seed, iou in table[4].items() if seed != 3) / 4 - table[4][3]
    assert found.losses[4] == pytest.approx((1.2 / 15 - 0.02) * drop)
    assert [loss for row, loss in enumerate(found.losses) if row != 4] == [0.0] * 9


@pytest.mark.parametrize(
    "table", [[], [{}], [{0: 0.5}], [{0: 0.5}, {0: 0.5}]], ids=["none", "empty", "one", "ties"]
)
def test_single_runs_say_nothing(table: list[dict[int, float]]) -> None:
    found = find_collapses(table, 0 if table else None)
    assert not any(found.runs)
    assert not found.seeds


def test_equal_scores_but_for_one_are_a_collapse() -> None:
    table = [dict.fromkeys(range(4), 0.5) for _ in range(4)]
    table[2][1] = 0.2
    assert find_collapses(table, 0).runs[2] == {1}


def few_and_many(n_single: int) -> list[dict[int, float]]:
    """The baseline and two references with three seeds, of which one reference fell with two; then single runs."""
    draw = np.random.default_rng(0)
    near = [{seed: 0.8 + 0.003 * draw.standard_normal() for seed in range(3)} for _ in range(2)]
    fell = {0: 0.37, 1: 0.59, 2: 0.79}
    single = [{number % 4: 0.8 + 0.003 * draw.standard_normal()} for number in range(n_single)]
    return [*near, fell, *single]


def test_two_collapsed_runs_of_three_are_known_by_the_single_runs() -> None:
    assert find_collapses(few_and_many(40), 0).runs[:3] == (frozenset(), frozenset(), frozenset({0, 1}))
    assert find_collapses(few_and_many(4), 0).runs[2] == frozenset()


def test_a_placement_that_is_low_with_every_seed_has_not_collapsed() -> None:
    """Nearly all others gain fifteen points, and under one seed only some of them ran."""
    draw = np.random.default_rng(1)
    gaining = [{number % 4: 0.97 + 0.003 * draw.standard_normal()} for number in range(40)]
    plain, useless = ({seed: 0.82 + 0.003 * draw.standard_normal() for seed in range(6)} for _ in range(2))
    assert find_collapses([plain, useless, *gaining], 0).runs[:2] == (frozenset(), frozenset())
