from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas_attn.ranking.student import two_sided_quantile, two_sided_tail


@pytest.mark.parametrize("df", [0.5, 1, 1.7, 2, 4, 9.25, 30, 400, 1e6])
@pytest.mark.parametrize("confidence", [0.01, 0.5, 0.9, 0.95, 0.999, 1 - 1e-9])
def test_quantiles_agree_with_scipy(confidence: float, df: float) -> None:
    expected = stats.t.isf((1 - confidence) / 2, df)
    assert two_sided_quantile(confidence, df) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=80)
@given(t=st.floats(0, 1e6), df=st.floats(0.2, 1e5))
def test_tails_agree_with_scipy(t: float, df: float) -> None:
    assert two_sided_tail(t, df) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-7, abs=1e-12)


def test_the_textbook_value_for_four_degrees_of_freedom() -> None:
    assert two_sided_quantile(0.95, 4) == pytest.approx(2.776, abs=5e-4)


def test_an_infinite_t_leaves_no_tail() -> None:
    assert two_sided_tail(1e200, 3) == 0.0
