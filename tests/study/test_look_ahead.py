"""The benchmark whose finals look ahead."""

from __future__ import annotations

import pytest
from look_ahead import _Finalist

from nas_attn.analysis.settled import LEAST_TO_STOP

WORTH, QUANTILE = 0.005, 2.5


def finalist(mean: float, n_fresh: int = 1, measured: float = 0.0, sd: float = 0.001) -> _Finalist:
    return _Finalist(n_fresh, measured, mean, sd**2)


def test_nothing_is_settled_with_fewer_seeds_than_a_search_stops_for() -> None:
    chances = [finalist(0.05, n_fresh=0).chance(further, WORTH, QUANTILE, 0.001) for further in (1, 2, 3)]
    assert [chance == 0 for chance in chances] == [further < LEAST_TO_STOP for further in (1, 2, 3)]


@pytest.mark.parametrize(("mean", "chance"), [(0.02, 1.0), (0.0, 0.0)])
def test_what_is_far_from_what_matters_is_settled_or_is_not(mean: float, chance: float) -> None:
    found = finalist(mean, n_fresh=2, measured=mean).chance(3, WORTH, QUANTILE, 0.001)
    assert found == pytest.approx(chance, abs=1e-3)


def test_a_bad_first_seed_asks_for_more() -> None:
    """The measured difference counts, not the expected one: a low first seed takes others to make up for."""
    unlucky = finalist(0.01, n_fresh=2, measured=0.0)
    assert unlucky.chance(1, WORTH, QUANTILE, 0.002) < 0.05 < unlucky.chance(12, WORTH, QUANTILE, 0.002)
