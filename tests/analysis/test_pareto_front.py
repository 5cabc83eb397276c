from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_attn.analysis import pareto_front
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
