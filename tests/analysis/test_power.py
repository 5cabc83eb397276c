"""How large a gain so many seeds can show."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nas_attn.analysis.power import POWER, power, ratio_shown, seeds_needed


@pytest.mark.parametrize("freedom", [1, 2.5, 4, 30, 4000])
@pytest.mark.parametrize("ratio", [0.0, 1.0, 3.5, 8.0])
def test_power_is_a_tail_of_the_noncentral_t(freedom: float, ratio: float) -> None:
    expected = stats.nct.sf(stats.t.ppf(0.975, freedom), freedom, ratio)
    assert power(ratio, freedom, 0.95) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("freedom", [1, 4, 12.5, 500])
def test_what_can_be_shown_has_a_power_of_four_in_five(freedom: float) -> None:
    ratio = ratio_shown(freedom, 0.95)
    assert stats.nct.sf(stats.t.ppf(0.975, freedom), freedom, ratio) == pytest.approx(POWER, abs=5e-4)


def test_power_is_the_share_of_simulated_intervals_above_0() -> None:
    draws = np.random.default_rng(3).normal(0.5, 0.4, (20_000, 5))
    low = draws.mean(1) - stats.t.ppf(0.975, 4) * draws.std(1, ddof=1) / 5**0.5
    assert power(0.5 / (0.4 / 5**0.5), 4, 0.95) == pytest.approx((low > 0).mean(), abs=0.01)


def test_the_fewest_seeds_are_those_of_a_count_from_two_up() -> None:
    def share(n: int) -> float:
        return float(stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, 0.3 / (0.4 / n**0.5)))

    fewest = next(n for n in range(2, 100) if share(n) >= POWER)
    assert seeds_needed(0.003, lambda n: (0.004 / n**0.5, n - 1), 0.95) == fewest


def test_no_number_of_seeds_averages_out_the_images() -> None:
    assert seeds_needed(0.003, lambda n: ((0.004**2 / n + 0.002**2) ** 0.5, n - 1), 0.95) is None
