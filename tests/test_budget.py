"""Budgets are ordered, checked and carried."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from nas_attn.budget import Budget
from nas_attn.errors import UsageError

budgets = st.builds(
    Budget,
    st.integers(1, 10**6),
    st.integers(1, 4096),
    st.integers(1, 512),
    st.floats(0, 1, exclude_min=True),
)


@given(budgets)
@settings(deadline=None)
def test_a_budget_comes_back_from_json(budget: Budget) -> None:
    assert Budget.from_dict(json.loads(json.dumps(budget.to_dict()))) == budget


def test_more_steps_are_a_larger_budget_whatever_the_sizes() -> None:
    assert Budget(200, 32, 4) > Budget(100, 512, 64)
    assert Budget(100, 64, 4) > Budget(100, 32, 8) > Budget(100, 32, 4) > Budget(100, 32, 4, 0.5)


def test_all_wrong_fields_are_named_together() -> None:
    with pytest.raises(UsageError) as caught:
        Budget(0, -1, 2.5, float("nan"))  # type: ignore[arg-type]
    assert caught.value.problems == (
        "steps is 0; it must be a whole number of at least 1",
        "image_size is -1; it must be a whole number of at least 1",
        "batch_size is 2.5; it must be a whole number of at least 1",
        "train_fraction is nan; it must be above 0 and at most 1",
    )


def test_a_budget_says_what_it_is() -> None:
    assert str(Budget(300, 64, 8)) == "300 steps of 8 crops of 64 px"
    assert str(Budget(300, 64, 8, 0.25)) == "300 steps of 8 crops of 64 px, 25% of the training images"
