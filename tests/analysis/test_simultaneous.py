"""Quantiles against Dunnett's tables and against draws."""

from __future__ import annotations

import numpy as np
import pytest

from nas_attn.analysis.simultaneous import simultaneous_quantile
from nas_attn.analysis.student import two_sided_quantile


@pytest.mark.parametrize(
    ("number", "freedom", "quantile"),
    [(2, 5, 3.03), (2, 20, 2.38), (5, 20, 2.73), (9, 20, 2.95), (9, 60, 2.77), (9, 1e6, 2.69)],
)
def test_quantiles_are_those_of_dunnetts_tables(number: int, freedom: float, quantile: float) -> None:
    """Dunnett 1964, Biometrics 20:482, table II, two-sided, 95 %."""
    assert simultaneous_quantile(0.95, freedom, number, 0.5) == pytest.approx(quantile, abs=0.006)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.7])
def test_so_many_draws_lie_within(correlation: float) -> None:
    draw, number, freedom = np.random.default_rng(0), 6, 7
    shared, own = draw.normal(size=(200_000, 1)), draw.normal(size=(200_000, number))
    scale = np.sqrt(draw.chisquare(freedom, (200_000, 1)) / freedom)
    t = (correlation**0.5 * shared + (1 - correlation) ** 0.5 * own) / scale
    quantile = simultaneous_quantile(0.9, freedom, number, correlation)
    assert float((np.abs(t).max(1) < quantile).mean()) == pytest.approx(0.9, abs=0.004)


def test_of_one_comparison_it_is_students() -> None:
    assert simultaneous_quantile(0.95, 8, 1, 0.5) == two_sided_quantile(0.95, 8)
