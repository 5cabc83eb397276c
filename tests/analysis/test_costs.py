"""Latencies of a study in one unit, and where MACs do not foretell them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nas_attn.analysis import rank
from nas_attn.analysis.costs import cost_ratio, disagreements, timed_by
from nas_attn.latencies import Latency, LatencyTable

Make = Callable[..., Any]


def together(*timed: tuple[Any, float], plain: Any, ms: float = 2.0, spread: float = 0.01) -> LatencyTable:
    """The baseline, which takes so many milliseconds, and placements with their ratios to it."""
    single = {plain.id: Latency(ms, 1.0, 1.0, 1.0)}
    single |= {one.id: Latency(ms * ratio, ratio, ratio - spread, ratio + spread) for one, ratio in timed}
    return LatencyTable("cpu: x, 1 thread", 32, 32, 8, 40, single, single)


@pytest.fixture(name="records")
def records_fixture(record: Make, numbered: Make) -> list[Any]:
    """The baseline's own trials took 5, 4 and 9 ms, where others computed beside them."""
    plain, one, other = (numbered(number) for number in range(3))
    return [
        record(0, plain, 0, 0.5, latency_ms=5.0, device="a"),
        record(1, plain, 1, 0.6, latency_ms=4.0, device="a"),
        record(2, plain, 2, 0.6, latency_ms=9.0, device="a"),
        record(3, one, 0, 0.6, macs=1001, latency_ms=50.0, device="a"),
        record(4, other, 0, 0.55, macs=1002, latency_ms=10.0, device="a"),
        record(5, other, 1, 0.55, macs=1002, latency_ms=3.0, device="b"),
        record(6, numbered(3), 0, None),
    ]


def test_without_a_table_nothing_changes(records: list[Any]) -> None:
    assert timed_by(records, None) is records


def test_what_was_timed_together_has_that_latency_and_the_rest_is_told_in_its_unit(
    records: list[Any], numbered: Make
) -> None:
    """The other placement's trial took 10 ms where the baseline's took 5: twice the 2 ms of the table."""
    found = timed_by(records, together((numbered(1), 1.23), plain=numbered(0)))
    latencies = [record.outcome.cost.latency_ms for record in found if record.outcome]

    assert latencies[:5] == pytest.approx([2.0, 2.0, 2.0, 2.46, 4.0])
    assert latencies[5] is None, "the baseline had no trial on that device"
    assert [record.outcome.cost.macs for record in found[:5]] == [1000, 1000, 1000, 1001, 1002]
    assert found[6] == records[6]


def test_only_latencies_change_by_a_table_and_the_front_of_macs_does_not(
    records: list[Any], numbered: Make
) -> None:
    table = together((numbered(1), 1.23), plain=numbered(0))
    before, after = rank(records), rank(records, latencies=table)
    facts = [
        [(row.placement, row.gain, row.on_front, row.front_probability) for row in one.rows]
        for one in (before, after)
    ]

    assert facts[0] == facts[1]
    row = next(row for row in after.rows if row.placement == numbered(1))
    assert row.cost.latency_ms == pytest.approx(2.46)
    assert after.latency_of(row) == table.of(numbered(1))
    assert before.latency_of(row) is None


def test_a_front_over_latency_goes_by_what_was_timed_together(record: Make, numbered: Make) -> None:
    """By its own trials the better one is also the dearest; timed with care it is as fast as the baseline."""
    records = [
        record(3 * number + seed, numbered(number), seed, 0.5 + 0.1 * number + 0.001 * seed, latency_ms=5 + number)
        for number in range(2)
        for seed in range(3)
    ]
    table = together((numbered(1), 1.0), plain=numbered(0))
    by_trials, by_table = (
        {row.placement for row in rank(records, cost="latency", latencies=latencies).rows if row.on_front}
        for latencies in (None, table)
    )
    assert by_trials == {numbered(0), numbered(1)}
    assert by_table == {numbered(1)}


def test_ratios_are_to_the_baseline_and_unknown_where_a_cost_is(records: list[Any], numbered: Make) -> None:
    ranking = rank(records, latencies=together((numbered(1), 1.5), plain=numbered(0)))
    row = next(row for row in ranking.rows if row.placement == numbered(1))

    assert cost_ratio(row, ranking, "latency") == pytest.approx(1.5)
    assert cost_ratio(row, ranking, "macs") == pytest.approx(1.001)
    assert cost_ratio(row, ranking, "memory") is None
    assert cost_ratio(row, rank(records[3:]), "macs") is None


@pytest.mark.parametrize(
    ("ratio", "spread", "is_told"),
    [(1.23, 0.02, True), (1.05, 0.001, False), (1.23, 0.3, False), (0.8, 0.02, True)],
    ids=["dear in time", "a little dearer", "within the quartiles", "cheaper"],
)
def test_latency_and_macs_disagree_where_they_differ_by_a_tenth_beyond_the_quartiles(
    records: list[Any], numbered: Make, ratio: float, spread: float, is_told: bool
) -> None:
    table = together((numbered(1), ratio), plain=numbered(0), spread=spread)
    found = disagreements(rank(records, latencies=table))

    assert [one.row.placement for one in found] == ([numbered(1)] if is_told else [])


def test_the_claimed_placement_is_told_before_what_differs_more(record: Make, numbered: Make) -> None:
    levels = {0: 0.50, 1: 0.60, 2: 0.55}
    records = [
        record(3 * number + seed, numbered(number), seed, level + 0.001 * ((number + seed) % 2))
        for number, level in levels.items()
        for seed in range(3)
    ]
    table = together((numbered(1), 1.2), (numbered(2), 2.0), plain=numbered(0))
    found = disagreements(rank(records, latencies=table))

    assert [one.row.placement for one in found] == [numbered(1), numbered(2)]
    assert (found[0].macs_ratio, found[0].latency.ratio) == (1.0, 1.2)
