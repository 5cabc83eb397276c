"""Outcomes survive JSON."""

from __future__ import annotations

import json

import hypothesis.strategies as st
from hypothesis import given

from nas_attn.budget import Budget
from nas_attn.counts import ImageCounts
from nas_attn.models.placement import AttentionSpec, Location, Placement, Stage
from nas_attn.record import Cost, CurvePoint, Outcome, OutOfMemory, Role, Score, State, TrialRecord

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


records = st.builds(
    TrialRecord,
    number=st.integers(0),
    placement=st.sampled_from(
        [
            Placement(((Location(Stage.SKIP, 0), AttentionSpec("none")),)),
            Placement(((Location(Stage.SKIP, 0), AttentionSpec("se", (("reduction", 8),))),)),
        ]
    ),
    budget=st.builds(Budget, st.integers(1, 99), st.integers(8, 64), st.integers(1, 8)),
    seed=st.integers(0),
    role=st.sampled_from(Role),
    state=st.sampled_from(State),
    reference=st.none() | st.text(max_size=5),
    outcome=st.none() | outcomes,
    failure=st.none() | st.text(max_size=20),
    worker=st.text(max_size=9),
    version=st.text(max_size=9),
    memory=st.dictionaries(st.text(max_size=5), st.integers() | st.lists(numbers, max_size=2), max_size=2),
    shortage=st.none() | st.builds(OutOfMemory, st.text(max_size=9), st.none() | numbers, st.none() | numbers),
)


@given(records)
def test_a_record_comes_back_from_json(record: TrialRecord) -> None:
    assert TrialRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
