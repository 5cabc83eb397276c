"""The exact front against going through every placement."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.strategy import pareto_dp as _front
from nas_attn.strategy.pareto_dp import exact_front, undominated


def slow_front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The values and costs that no other point beats, by definition."""
    return sorted(
        {
            (value, cost)
            for value, cost in points
            if not any((v >= value and c <= cost) and (v > value or c < cost) for v, c in points)
        },
        key=lambda point: point[1],
    )


@settings(max_examples=60)
@given(data=st.data())
def test_it_is_what_enumeration_finds(data: st.DataObject) -> None:
    """Whole numbers make ties and equal costs frequent."""
    n_locations, n_options = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    numbers = st.integers(-3, 3)
    values = np.array([[data.draw(numbers) for _ in range(n_options)] for _ in range(n_locations)], dtype=float)
    costs = np.array(
        [[data.draw(st.integers(0, 4)) for _ in range(n_options)] for _ in range(n_locations)], dtype=float
    )
    costs[data.draw(st.integers(0, n_locations - 1)), 1:] = np.inf
    points = [
        (
            sum(values[location, choice] for location, choice in enumerate(choices)),
            sum(costs[location, choice] for location, choice in enumerate(choices)),
        )
        for choices in itertools.product(range(n_options), repeat=n_locations)
    ]
    points = [point for point in points if np.isfinite(point[1])]
    front = exact_front(values, costs)

    assert list(zip(front.values, front.costs, strict=True)) == slow_front(points)
    for codes, value, cost in zip(front.codes, front.values, front.costs, strict=True):
        rows = np.arange(n_locations)
        assert values[rows, codes].sum() == value
        assert costs[rows, codes].sum() == cost


def test_the_front_of_a_whole_space_takes_moments() -> None:
    """13 locations of 8 choices are 5 x 10^11 placements; its ends are the cheapest and the best."""
    random = np.random.default_rng(0)
    values, costs = random.normal(size=(13, 8)), random.uniform(0, 1, size=(13, 8))
    costs[:, 0] = 0
    front = exact_front(values, costs)

    assert front.costs[0] == 0
    assert front.values[-1] == pytest.approx(values.max(1).sum())
    assert (np.diff(front.costs) > 0).all()
    assert (np.diff(front.values) > 0).all()


def test_a_front_of_too_many_points_keeps_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    costs = random.uniform(0, 1, size=(6, 5))
    values = costs + random.normal(0, 0.05, size=(6, 5))
    whole = exact_front(values, costs)
    monkeypatch.setattr(_front, "MOST_POINTS", 20)
    thinned = exact_front(values, costs)

    assert len(thinned.costs) == 20 < len(whole.costs)
    assert thinned.costs[0] == whole.costs[0]
    assert thinned.values[-1] == pytest.approx(whole.values[-1])


def test_of_equal_points_the_first_stays() -> None:
    values, costs = np.array([1.0, 1.0, 2.0, 0.5]), np.array([1.0, 1.0, 1.0, 0.0])

    assert undominated(values, costs).tolist() == [3, 2]
    assert undominated(values[:2], costs[:2]).tolist() == [0]
