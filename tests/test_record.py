"""Outcomes survive JSON."""

from __future__ import annotations

import json

import hypothesis.strategies as st
from hypothesis import given, settings

from nas_attn.record import Cost, CurvePoint, Outcome, Score

numbers = st.floats(allow_nan=False, allow_infinity=False)
outcomes = st.builds(
    Outcome,
    score=st.builds(Score, numbers, st.lists(st.none() | numbers, max_size=4).map(tuple), numbers),
    cost=st.builds(
        Cost, st.integers(0), st.integers(0), st.none() | numbers, st.none() | numbers, st.text(max_size=20)
    ),
    curve=st.lists(st.builds(CurvePoint, st.integers(0), numbers), max_size=3).map(tuple),
    seconds=numbers,
)


@given(outcomes)
@settings(deadline=None)
def test_an_outcome_comes_back_from_json(outcome: Outcome) -> None:
    assert Outcome.from_dict(json.loads(json.dumps(outcome.to_dict()))) == outcome
