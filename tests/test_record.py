"""Outcomes survive JSON."""

from __future__ import annotations

import json

import hypothesis.strategies as st
from hypothesis import given

from nas_attn.counts import ImageCounts
from nas_attn.record import Cost, CurvePoint, Outcome, Score

numbers = st.floats(allow_nan=False, allow_infinity=False)
outcomes = st.builds(
    Outcome,
    score=st.builds(
        Score,
        numbers,
        st.lists(st.none() | numbers, max_size=4).map(tuple),
        numbers,
        st.none() | st.builds(ImageCounts, st.integers(1), st.integers(1), st.text(max_size=20)),
    ),
    cost=st.builds(
        Cost, st.integers(0), st.integers(0), st.none() | numbers, st.none() | numbers, st.text(max_size=20)
    ),
    curve=st.lists(st.builds(CurvePoint, st.integers(0), numbers), max_size=3).map(tuple),
    seconds=numbers,
)


@given(outcomes)
def test_an_outcome_comes_back_from_json(outcome: Outcome) -> None:
    assert Outcome.from_dict(json.loads(json.dumps(outcome.to_dict()))) == outcome


def test_an_outcome_of_an_earlier_version_has_no_counts() -> None:
    outcome = Outcome(Score(0.5, (0.5, None), 0.1), Cost(1, 2), (), 1.0)
    written = outcome.to_dict()
    del written["score"]["counts"]
    assert Outcome.from_dict(written) == outcome
