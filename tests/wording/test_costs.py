"""Costs in words."""

from __future__ import annotations

import pytest

from nas_attn.analysis import Ranking, rank
from nas_attn.budget import Budget
from nas_attn.latencies import Latency, LatencyTable
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.wording.costs import cost_text, disagreement_notes, latency_notes, latency_text
from nas_attn.wording.rankings import ranking_notes, ranking_verdict

PLAIN = UNetConfig(in_channels=1, classes=2, depth=3).plain
SE = PLAIN.replace(Location.parse("encoder.0"), AttentionSpec("se"))
ECA = PLAIN.replace(Location.parse("skip.1"), AttentionSpec("eca"))
COSTS = {PLAIN: (1000, 100_000, 5.0), SE: (1020, 100_100, 9.0), ECA: (1003, 100_000, 4.0)}


def trial(number: int, seed: int, level: float) -> TrialRecord:
    placement = (PLAIN, SE, ECA)[number]
    parameters, macs, latency_ms = COSTS[placement]
    iou = level + 0.001 * ((number + seed) % 2)
    outcome = Outcome(Score(iou, (iou, iou), 0.1), Cost(parameters, macs, latency_ms, 7.0, "cpu: x"), (), 1.0)
    budget = Budget(10, 64, 4)
    return TrialRecord(3 * number + seed, placement, budget, seed, Role.PROPOSAL, State.COMPLETE, None, outcome)


def ranked(*, timed: bool = True, cost: str = "macs") -> Ranking:
    """SE at the first level: 0.1 % more MACs and 23 % more time."""
    levels = enumerate((0.50, 0.60, 0.501))
    records = [trial(number, seed, level) for number, level in levels for seed in range(3)]
    single = {PLAIN.id: Latency(1.5, 1.0, 1.0, 1.0), SE.id: Latency(1.845, 1.23, 1.2, 1.25)}
    table = LatencyTable("cpu: x, 1 thread", 32, 48, 8, 40, single, single)
    return rank(records, cost=cost, latencies=table if timed else None)


def row_of(ranking: Ranking, placement: object):  # type: ignore[no-untyped-def]
    return next(row for row in ranking.rows if row.placement == placement)


@pytest.mark.parametrize(
    ("timed", "cost", "text"),
    [
        (True, "macs", "1.23x latency, 1.00x MACs"),
        (False, "macs", "1.00x MACs"),
        (True, "parameters", "1.23x latency, 1.02x parameters, 1.00x MACs"),
        (False, "latency", "1.80x latency, 1.00x MACs"),
        (True, "memory", "1.23x latency, 1.00x memory, 1.00x MACs"),
    ],
)
def test_latency_comes_first_once_timed_then_the_chosen_cost_then_macs(timed: bool, cost: str, text: str) -> None:
    ranking = ranked(timed=timed, cost=cost)
    assert cost_text(row_of(ranking, SE), ranking) == text
    assert f"for {text}" in ranking_verdict(ranking)


def test_what_only_trials_have_timed_is_marked() -> None:
    """ECA's trials took 4 ms where the baseline's took 5: 0.8 of its 1.5 ms."""
    ranking = ranked()
    texts = [latency_text(row_of(ranking, placement), ranking) for placement in (PLAIN, SE, ECA)]

    assert texts == ["1.5 (1.00x)", "1.84 (1.23x)", "~1.2"]
    assert latency_text(row_of(ranked(timed=False), SE), ranked(timed=False)) == "~9"


def test_one_line_warns_where_latency_and_macs_disagree() -> None:
    (line,) = disagreement_notes(ranked())

    assert line == (
        "Latency and MACs disagree: se at encoder.0 takes +23.0 % time (quartiles +20 to +25) for +0.1 % MACs. "
        "Where time matters, rank by --cost latency."
    )
    assert line in ranking_notes(ranked())
    assert disagreement_notes(ranked(timed=False)) == []


def test_it_is_said_what_was_timed_and_how() -> None:
    assert latency_notes(ranked())[0] == (
        "Latency: one image of 32x48 on cpu: x, 1 thread; 2 placements timed in turns, 40 rounds, each against "
        "the baseline of its round."
    )
    assert latency_notes(ranked(timed=False)) == []
