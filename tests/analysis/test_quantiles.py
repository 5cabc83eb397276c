"""Student's t against closed forms and its density, added up; Dunnett's against his tables and draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.analysis.quantiles import simultaneous_quantile, two_sided_quantile, two_sided_tail


def central(t: float, df: float) -> float:
    """P(|T| < t): with t = sqrt(df) tan(a) the density is cos(a)^(df - 1), here by the midpoint rule."""
    ends = (math.atan(t / math.sqrt(df)), math.pi / 2)
    below, whole = (end * np.mean(np.cos((np.arange(400_000) + 0.5) / 400_000 * end) ** (df - 1)) for end in ends)
    return float(below / whole)


@settings(max_examples=60)
@given(t=st.floats(0, 1e3))
def test_tails_are_the_closed_forms_of_one_to_three_degrees_of_freedom(t: float) -> None:
    expected = {
        1: 1 - 2 / math.pi * math.atan(t),
        2: 1 - t / math.sqrt(2 + t * t),
        3: 1 - 2 / math.pi * (math.atan(t / math.sqrt(3)) + math.sqrt(3) * t / (3 + t * t)),
    }
    for df, tail in expected.items():
        assert two_sided_tail(t, df) == pytest.approx(tail, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("df", [1.7, 2, 4, 9.25, 30, 400])
@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.9, 0.95, 0.999])
def test_between_the_quantiles_lies_the_confidence(confidence: float, df: float) -> None:
    assert central(two_sided_quantile(confidence, df), df) == pytest.approx(confidence, rel=1e-6)


@pytest.mark.parametrize(
    ("confidence", "df", "quantile"), [(0.95, 4, 2.776), (0.99, 10, 3.169), (0.9, 1, 6.314), (0.95, 1e6, 1.960)]
)
def test_the_textbook_values(confidence: float, df: float, quantile: float) -> None:
    assert two_sided_quantile(confidence, df) == pytest.approx(quantile, abs=5e-4)


def test_quantiles_and_tails_are_each_others_inverse_far_out() -> None:
    assert two_sided_tail(two_sided_quantile(1 - 1e-9, 9.25), 9.25) == pytest.approx(1e-9, rel=1e-4)


def test_an_infinite_t_leaves_no_tail() -> None:
    assert two_sided_tail(1e200, 3) == 0.0


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
