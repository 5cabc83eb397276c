"""Which placements are on the front, and how likely, against a slow definition and against closed forms."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nas_attn.analysis import pareto_front, rank
from nas_attn.analysis.front import DRAWS, NEGLIGIBLE, front_probabilities
from nas_attn.errors import UsageError

# Few different values, so that ties and duplicates are common.
COORDINATES = st.integers(0, 6).map(float)
POINTS = st.lists(st.tuples(COORDINATES, COORDINATES), max_size=25)


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] <= other[1] and one != other


def slow_front(points: list[tuple[float, float]]) -> tuple[int, ...]:
    return tuple(i for i, point in enumerate(points) if not any(dominates(other, point) for other in points))


@given(points=POINTS)
def test_the_front_is_that_of_the_definition(points: list[tuple[float, float]]) -> None:
    assert pareto_front(points) == slow_front(points)


@given(points=st.lists(st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)), max_size=12))
def test_the_front_is_that_of_the_definition_for_any_floats(points: list[tuple[float, float]]) -> None:
    assert pareto_front(points) == slow_front(points)


@given(points=POINTS.filter(bool), data=st.data())
def test_adding_a_dominated_point_never_changes_the_front(
    points: list[tuple[float, float]], data: st.DataObject
) -> None:
    front = pareto_front(points)
    iou, cost = points[data.draw(st.sampled_from(front))]
    worse = (iou - data.draw(st.integers(0, 3)), cost + data.draw(st.integers(1, 3)))
    assert pareto_front([*points, worse]) == front


@given(points=POINTS, seed=st.integers(0, 99))
def test_the_order_of_the_points_does_not_matter(points: list[tuple[float, float]], seed: int) -> None:
    order = list(range(len(points)))
    random.Random(seed).shuffle(order)
    shuffled = pareto_front([points[i] for i in order])
    assert sorted(order[i] for i in shuffled) == list(pareto_front(points))


def test_duplicates_of_a_front_point_are_on_the_front() -> None:
    assert pareto_front([(1.0, 5.0), (2.0, 5.0), (2.0, 5.0), (3.0, 9.0), (3.0, 9.5)]) == (1, 2, 3)


@pytest.mark.parametrize(("points", "front"), [([], ()), ([(0.5, 1.0)], (0,))], ids=["empty", "one"])
def test_small_fronts(points: list[tuple[float, float]], front: tuple[int, ...]) -> None:
    assert pareto_front(points) == front


@pytest.mark.parametrize("point", [(float("nan"), 1.0), (0.5, float("nan"))], ids=["iou", "cost"])
def test_nan_is_refused(point: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="points 1 are NaN; leave out what was not measured"):
        pareto_front([(0.5, 1.0), point])


def test_four_times_the_points_take_four_times_the_work(lines_run: Callable[..., int]) -> None:
    """A quadratic one takes sixteen times as much."""
    draw = random.Random(0)
    points = [(value, value) for value in (draw.random() for _ in range(2000))]  # all of them on the front
    assert lines_run(pareto_front, points) < 6 * lines_run(pareto_front, points[:500])
    assert lines_run(slow_front, points) > 6 * lines_run(slow_front, points[:500]), "the measure sees it"


Make = Callable[..., Any]
NO_IMAGES = np.zeros((2, 0))


def test_two_placements_of_equal_cost_share_the_front_by_their_difference() -> None:
    shares = front_probabilities([0.51, 0.50], np.diag([1e-4, 1e-4]), NO_IMAGES, [1, 1], 1e6)
    assert shares[0] == pytest.approx(NormalDist().cdf(0.01 / (0.01 * 2**0.5)), abs=0.03)
    assert sum(shares) == pytest.approx(1.0)


def test_few_degrees_of_freedom_make_it_less_sure() -> None:
    shares = front_probabilities([0.52, 0.50], np.diag([1e-4, 1e-4]), NO_IMAGES, [1, 1], 3)
    assert shares[0] == pytest.approx(stats.t.cdf(0.02 / (0.01 * 2**0.5), 3), abs=0.03)


def test_placements_that_rise_and_fall_together_are_told_apart() -> None:
    shares = front_probabilities([0.51, 0.50], np.full((2, 2), 1e-4), NO_IMAGES, [1, 1], 1e6)
    assert shares == (1.0, 0.0)


def test_the_cheapest_is_always_on_the_front_and_a_dear_one_only_where_it_is_better() -> None:
    cheap, dear = front_probabilities([0.50, 0.50], np.diag([1e-4, 1e-4]), NO_IMAGES, [1, 2], 1e6)
    assert cheap == 1.0
    assert dear == pytest.approx(0.5, abs=0.04)


def test_images_that_move_all_alike_change_nothing_and_others_do() -> None:
    alike = np.tile(np.linspace(-0.01, 0.01, 20), (2, 1))
    assert front_probabilities([0.51, 0.50], np.zeros((2, 2)), alike, [1, 1], 9) == (1.0, 0.0)
    apart = np.stack([np.linspace(-0.01, 0.01, 20), np.zeros(20)])
    share = front_probabilities([0.51, 0.50], np.zeros((2, 2)), apart, [1, 1], 9)[0]
    assert share == pytest.approx(NormalDist().cdf(0.01 / float(np.sqrt((apart[0] ** 2).sum()))), abs=0.03)


def test_shares_do_not_depend_on_the_order_of_the_rows() -> None:
    levels, costs = [0.5, 0.7, 0.6, 0.6001], [1.0, 3.0, 2.0, 1.5]
    there = front_probabilities(levels, np.zeros((4, 4)), np.zeros((4, 0)), costs, 9)
    back = front_probabilities(levels[::-1], np.zeros((4, 4)), np.zeros((4, 0)), costs[::-1], 9)
    assert there == back[::-1] == (1.0, 1.0, 0.0, 1.0)


def test_a_ranking_says_how_likely_each_row_is_on_the_front(record: Make, numbered: Make) -> None:
    draw = random.Random(0)
    records = [
        record(3 * p + s, numbered(p), s, 0.5 + gain + draw.gauss(0, 0.004), macs=1000 + p, latency_ms=ms)
        for p, (gain, ms) in enumerate([(0.0, 1.0), (0.05, 2.0), (-0.03, 3.0), (0.05, None)])
        for s in range(3)
    ]
    rows = {row.placement: row for row in rank(records).rows}
    found = [rows[numbered(p)].front_probability for p in range(4)]
    assert found[0] == 1.0
    assert found[1] == pytest.approx(1.0, abs=0.02)
    assert found[2] == pytest.approx(0.0, abs=0.02)
    assert 0.1 < float(found[3] or 0) < 0.9
    by_latency = {row.placement: row.front_probability for row in rank(records, cost="latency").rows}
    assert by_latency[numbered(3)] is None
    assert by_latency[numbered(2)] == pytest.approx(0.0, abs=0.02)


def test_without_repeated_seeds_it_is_not_known(record: Make, numbered: Make) -> None:
    ranking = rank([record(0, numbered(0), 0, 0.5), record(1, numbered(1), 0, 0.6)])
    assert [row.front_probability for row in ranking.rows] == [None, None]


def test_a_dearer_placement_that_is_better_by_less_than_is_negligible_is_not_on_the_front() -> None:
    levels = [0.5, 0.5 + NEGLIGIBLE / 2, 0.5 + 2 * NEGLIGIBLE]
    assert front_probabilities(levels, np.zeros((3, 3)), np.zeros((3, 0)), [1, 2, 3], 9) == (1.0, 0.0, 1.0)
    assert front_probabilities(levels[:2], np.zeros((2, 2)), NO_IMAGES, [1, 1], 9) == (0.0, 1.0)


def test_what_own_effects_add_counts_draw_by_draw() -> None:
    own = np.zeros((DRAWS, 2))
    own[: DRAWS // 4, 1] = 0.1
    assert front_probabilities([0.5, 0.5], np.zeros((2, 2)), NO_IMAGES, [1, 2], 1e9, own) == (1.0, 0.25)
