"""Budgets are ordered, checked and carried."""

from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nas_attn.budget import Budget, rungs
from nas_attn.errors import UsageError

budgets = st.builds(
    Budget,
    st.integers(1, 10**6),
    st.integers(1, 4096),
    st.integers(1, 512),
    st.floats(0, 1, exclude_min=True),
    st.integers(0, 10**6),
)


@given(budgets)
def test_a_budget_comes_back_from_json(budget: Budget) -> None:
    assert Budget.from_dict(json.loads(json.dumps(budget.to_dict()))) == budget


def test_more_steps_are_a_larger_budget_whatever_the_sizes() -> None:
    assert Budget(200, 32, 4) > Budget(100, 512, 64)
    assert Budget(100, 64, 4) > Budget(100, 32, 8) > Budget(100, 32, 4) > Budget(100, 32, 4, 0.5)


def test_all_wrong_fields_are_named_together() -> None:
    with pytest.raises(UsageError) as caught:
        Budget(0, -1, 2.5, float("nan"))  # type: ignore[arg-type]
    assert caught.value.problems == (
        "steps: 0 must be a whole number of at least 1",
        "image_size: -1 must be a whole number of at least 1",
        "batch_size: 2.5 must be a whole number of at least 1",
        "train_fraction: nan must be a number above 0 and at most 1",
    )


def test_a_budget_says_what_it_is() -> None:
    assert str(Budget(300, 64, 8)) == "300 steps of 8 crops of 64 px"
    assert str(Budget(300, 64, 8, 0.25)) == "300 steps of 8 crops of 64 px, 25% of the training images"
    assert str(Budget(40, 64, 8, pretraining=360)) == (
        "40 steps from the baseline's after 360 of 8 crops of 64 px"
    )


def test_a_budget_from_scratch_is_written_as_it_always_was() -> None:
    """Or studies from before would be told that their settings have changed."""
    assert Budget(300, 64, 8).to_dict() == {
        "steps": 300,
        "image_size": 64,
        "batch_size": 8,
        "train_fraction": 1.0,
    }


def test_the_run_before_a_pretrained_one_is_one_from_scratch() -> None:
    assert Budget(40, 64, 8, 0.5, pretraining=360).of_pretraining == Budget(360, 64, 8, 0.5)
    assert Budget(360, 64, 8).of_pretraining is None


def test_pretrained_rungs_start_from_the_last_ones_steps() -> None:
    lower, middle, top = rungs((40, 120), Budget(360, 64, 8), pretrained=True)

    assert (lower.steps, middle.steps) == (40, 120)
    assert lower.pretraining == middle.pretraining == 360
    assert top == Budget(360, 64, 8)


@pytest.mark.parametrize("value", [-1, 1.5])
def test_pretraining_is_a_whole_number(value: float) -> None:
    with pytest.raises(UsageError, match=r"pretraining: .* must be a whole number of at least 0"):
        Budget(40, 64, 8, pretraining=value)  # type: ignore[arg-type]
