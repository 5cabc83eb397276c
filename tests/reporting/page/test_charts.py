"""What the charts show, against the records by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from nas_attn.analysis import Interval, ladder_fidelity, rank
from nas_attn.analysis.effects import Effect, StudyEffects
from nas_attn.analysis.runs import LeftOut
from nas_attn.budget import Budget
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import Cost
from nas_attn.reporting.page import AddedCost, StudyFacts
from nas_attn.reporting.page.chart import Table
from nas_attn.reporting.page.curves import curve_data, curves_chart
from nas_attn.reporting.page.differences import compared_rows, differences_chart
from nas_attn.reporting.page.front import front_chart, front_data
from nas_attn.reporting.page.heat_maps import costs_chart, effects_chart
from nas_attn.reporting.page.rungs import rungs_chart
from nas_attn.reporting.page.sections import charts_of

Facts = Callable[..., StudyFacts]
Run = Callable[..., Any]


def trace(chart: Any, name: str) -> Any:
    (found,) = [trace for trace in chart.figure.data if trace.name == name]
    return found


def test_a_small_study_is_drawn_whole(facts_of: Facts) -> None:
    data = front_data(facts_of(30).ranking)
    assert len(data.rows) == data.total == 30
    assert "drawn:" not in front_chart(data).caption


def test_of_a_large_study_what_matters_is_drawn_and_an_even_share_of_the_rest(facts_of: Facts) -> None:
    ranking = facts_of(400).ranking
    data = front_data(ranking, most=80)
    assert len(data.rows) == 80
    drawn = {row.rank for row in data.rows}
    for row in ranking.rows:
        if row.on_front or row.reference is not None or row.n_seeds > 1 or row.rank <= 20:
            assert row.rank in drawn
    rest = sorted(rank for rank in drawn if rank > 100)
    assert max(later - earlier for earlier, later in pairwise(rest)) <= 12
    assert "80 of 400 placements are drawn" in front_chart(data).caption


def test_the_front_is_what_nothing_beats_in_both(facts_of: Facts) -> None:
    ranking = facts_of(60).ranking
    line = trace(front_chart(front_data(ranking)), "Pareto front")
    points = {(row.cost.macs, round(100 * (row.gain or 0.0), 9)) for row in ranking.rows}
    best = {
        (macs, iou)
        for macs, iou in points
        if not any((m <= macs and i > iou) or (m < macs and i >= iou) for m, i in points)
    }
    assert {(x, round(y, 9)) for x, y in zip(line.x, line.y, strict=True)} == best
    assert list(line.x) == sorted(line.x)


def test_the_cost_is_that_of_what_goes_through_at_once(facts_of: Facts) -> None:
    data = front_data(facts_of(30).ranking)
    titles = [front_chart(data, *name).figure.layout.xaxis.title.text for name in ((), ("clip of 4 frames",))]
    assert titles == ["MACs of one image", "MACs of one clip of 4 frames"]


def test_every_mark_knows_its_placement(facts_of: Facts) -> None:
    ranking = facts_of(30).ranking
    marks = {
        identity: (x, y)
        for trace in front_chart(front_data(ranking)).figure.data
        if trace.mode == "markers"
        for identity, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }
    assert marks == {row.placement.id: (row.cost.macs, 100 * (row.gain or 0.0)) for row in ranking.rows}


def test_chart_and_table_have_one_number_for_one_placement(facts_of: Facts) -> None:
    """The gain over the baseline: what the ranking's table says, and how high the mark stands."""
    ranking = facts_of(30).ranking
    chart = front_chart(front_data(ranking))
    heights = {
        identity: y
        for trace in chart.figure.data
        if trace.mode == "markers"
        for identity, y in zip(trace.customdata, trace.y, strict=True)
    }
    assert chart.figure.layout.yaxis.title.text == "gain over the baseline, IoU points"
    column = chart.table.headers.index("gain x100")
    told = {row[0]: row[column] for row in chart.table.rows}
    for row in ranking.rows:
        if not row.is_plain:
            assert float(told[str(row.rank)]) == pytest.approx(heights[row.placement.id], abs=0.051)


def test_the_axis_is_zoomed_to_the_marks(facts_of: Facts) -> None:
    """Nothing but marks and the front, which joins them, is drawn: no interval flattens them."""
    figure = front_chart(front_data(facts_of(30).ranking)).figure
    assert {trace.mode for trace in figure.data} == {"markers", "lines"}
    assert [trace.name for trace in figure.data if trace.mode == "lines"] == ["Pareto front"]


def test_references_and_the_plain_network_are_marked(facts_of: Facts) -> None:
    ranking = facts_of(30).ranking
    chart = front_chart(front_data(ranking))
    (reference,) = [row for row in ranking.rows if row.reference == "a reference"]
    assert list(trace(chart, "reference architecture").customdata) == [reference.placement.id]
    assert ranking.plain is not None
    assert list(trace(chart, "baseline").customdata) == [ranking.plain.placement.id]


def test_differences_reach_from_end_to_end_of_their_intervals(facts_of: Facts) -> None:
    rows = compared_rows(facts_of(30).ranking)
    assert any(row.reference == "a reference" for row in rows)
    assert not any(row.is_plain for row in rows)
    ends = {
        identity: (x - below, x + above)
        for trace in differences_chart(rows, "IoU").figure.data
        for identity, x, above, below in zip(
            trace.customdata, trace.x, trace.error_x.array, trace.error_x.arrayminus, strict=True
        )
    }
    for row in rows:
        assert row.delta_interval is not None
        assert ends[row.placement.id] == pytest.approx(
            (100 * row.delta_interval.low, 100 * row.delta_interval.high)
        )


def test_differences_without_intervals_have_no_bars(facts_of: Facts, run: Run) -> None:
    records = [record for record in facts_of(8).records if record.seed == 0]
    assert compared_rows(rank(records)) == ()


def test_curves_are_means_over_the_runs_of_the_ranked_budget(facts_of: Facts, run: Run) -> None:
    plain = facts_of(2).network.plain
    winner = plain.replace(Location.parse("skip.1"), AttentionSpec("scse"))
    records = [
        run(0, plain, 0, 0.6, losses=(1.0, 0.8), reference="plain"),
        run(1, winner, 0, 0.7, losses=(0.9, 0.5)),
        run(2, winner, 1, 0.7, losses=(0.7, 0.3)),
        run(3, plain, 0, 0.5, losses=(9.0, 9.0), budget=Budget(50, 64, 8)),
    ]
    data = curve_data(records, rank(records))
    assert [(curve.name, curve.n_runs) for curve in data.curves] == [
        ("2. scse at skip.1", 2),
        ("baseline (plain U-Net)", 1),
    ]
    assert [point for curve in data.curves for point in curve.points] == [
        (50, pytest.approx(0.8)),
        (100, pytest.approx(0.4)),
        (50, 1.0),
        (100, 0.8),
    ]
    assert data.n_runs == 3
    # Of 0.7, 0.9, 1.0 the 10th percentile lies a fifth of the way from the first to the second.
    assert data.band[0] == (50, pytest.approx(0.74), pytest.approx(0.98))
    assert curves_chart(data).table.rows[1][:2] == ("100", "0.340 to 0.740")


def test_costs_are_shares_of_the_plain_network() -> None:
    skip, decoder = Location.parse("skip.0"), Location.parse("decoder.1")
    added = [
        AddedCost(skip, AttentionSpec("none"), 0, 0),
        AddedCost(skip, AttentionSpec("se"), 10, 50),
        AddedCost(decoder, AttentionSpec("pam"), 20, 4000),
    ]
    chart = costs_chart(added, Cost(parameters=100, macs=1000))
    (grid,) = chart.figure.data
    assert (list(grid.y), list(grid.x)) == (["skip.0", "decoder.1"], ["pam", "se"])
    assert [list(row) for row in grid.text] == [["", "5"], ["400", ""]]
    assert [list(row) for row in grid.z] == [[None, pytest.approx(0.69897)], [pytest.approx(2.60206), None]]
    assert chart.table.rows[0] == ("skip.0", "se", "50", "5", "10")
    assert "(20 %)" in grid.customdata[1][0]


def test_a_cost_below_a_hundredth_of_a_per_cent_is_written_so() -> None:
    skip = Location.parse("skip.0")
    added = [
        AddedCost(skip, AttentionSpec(kind), 0, macs) for kind, macs in (("se", 50), ("simam", 0), ("eca", 100))
    ]
    (grid,) = costs_chart(added, Cost(parameters=100, macs=1_000_000)).figure.data
    assert dict(zip(grid.x, grid.text[0], strict=True)) == {"se": "<0.01", "simam": "0", "eca": "0.01"}


def test_what_is_not_distinguishable_from_0_is_faded() -> None:
    skip = Location.parse("skip.0")
    effects = (
        Effect(skip, AttentionSpec("se"), 0.01, Interval(0.005, 0.015), 9),
        Effect(skip, AttentionSpec("eca"), 0.01, Interval(-0.005, 0.025), 9),
    )
    (grid,) = effects_chart(StudyEffects(effects, (), (), 0.95, 20, 20, LeftOut(), 16)).figure.data
    shade = dict(zip(grid.x, grid.z[0], strict=True))
    assert shade["se"] == pytest.approx(1.0)
    assert 0 < shade["eca"] < 0.2
    assert dict(zip(grid.x, grid.text[0], strict=True)) == {"se": "+1.0*", "eca": "+1.0"}


def test_effects_stand_at_their_place_with_a_star_where_they_are_sure() -> None:
    skip, decoder = Location.parse("skip.0"), Location.parse("decoder.1")
    effects = StudyEffects(
        effects=(
            Effect(skip, AttentionSpec("scse"), 0.012, Interval(0.004, 0.02), 7),
            Effect(skip, AttentionSpec("pam"), -0.003, Interval(-0.01, 0.004), 5),
            Effect(decoder, AttentionSpec("pam"), -0.02, Interval(-0.03, -0.01), 1),
        ),
        interactions=(),
        redundancies=(),
        confidence=0.9,
        n_placements=12,
        n_runs=30,
        left_out=LeftOut(),
        n_complete=30,
    )
    chart = effects_chart(effects)
    (grid,) = chart.figure.data
    assert (list(grid.y), list(grid.x)) == (["skip.0", "decoder.1"], ["pam", "scse"])
    assert [list(row) for row in grid.text] == [["-0.3", "+1.2*"], ["-2.0*", ""]]
    assert (grid.zmin, grid.zmax) == (pytest.approx(-2.0), pytest.approx(2.0))
    assert "tried in 7 placements" in grid.customdata[0][1]
    assert "90% interval" in chart.caption
    assert chart.table.rows[0] == ("skip.0", "scse", "+1.2*", "0.4 to 2.0", "7")


def test_of_many_pairs_of_rungs_an_even_share_is_drawn(facts_of: Facts, run: Run) -> None:
    placements = list(dict.fromkeys(record.placement for record in facts_of(900).records))
    short, long = Budget(50, 64, 8), Budget(100, 64, 8)
    records = [
        run(2 * index + upper, placement, 0, 0.5 + 1e-4 * index, budget=(short, long)[upper])
        for index, placement in enumerate(placements)
        for upper in (0, 1)
    ]
    chart = rungs_chart(ladder_fidelity(records), records, "IoU")
    (marks,) = chart.figure.data
    assert len(marks.x) == 300
    assert "an even sample of the placements is drawn" in chart.caption


def test_rungs_pair_what_ran_at_both_budgets_with_the_same_seed(facts_of: Facts, run: Run) -> None:
    base = facts_of(6, ranking=rank([]))
    placements = list(dict.fromkeys(record.placement for record in base.records))
    short, long = Budget(50, 64, 8), Budget(100, 64, 8)
    records = [run(index, p, 0, 0.5 + 0.01 * index, budget=short) for index, p in enumerate(placements)]
    records += [run(10 + index, p, 0, 0.6 + 0.02 * index, budget=long) for index, p in enumerate(placements[:4])]
    records.append(run(20, placements[4], 1, 0.9, budget=long))  # another seed: no pair
    records = [replace(record, number=number) for number, record in enumerate(records)]
    fidelities = ladder_fidelity(records)
    chart = rungs_chart(fidelities, records, "IoU")
    (marks,) = chart.figure.data
    assert list(marks.x) == pytest.approx([50, 51, 52, 53])
    assert list(marks.y) == pytest.approx([60, 62, 64, 66])
    assert "rank correlation +1.00" in chart.caption


def test_of_three_rungs_the_first_is_held_against_the_last_too(facts_of: Facts, run: Run) -> None:
    """Four placements ran on all, two more on the first and the last."""
    placements = list(dict.fromkeys(record.placement for record in facts_of(12).records))[:6]
    budgets = [Budget(steps, 64, 8) for steps in (20, 60, 180)]
    cells = [
        (placement, budget) for budget in budgets for placement in placements[: 4 if budget.steps == 60 else 6]
    ]
    records = [
        run(number, placement, 0, 0.5 + 0.01 * number, budget=budget)
        for number, (placement, budget) in enumerate(cells)
    ]
    (chart,) = (chart for chart in charts_of(facts_of(12, records=records)) if chart.name == "rungs")

    assert [marks.name for marks in chart.figure.data] == [
        "20 to 60 steps",
        "60 to 180 steps",
        "20 to 180 steps",
    ]
    assert [len(marks.x) for marks in chart.figure.data] == [4, 4, 6]


def test_a_long_table_says_how_long_it_is() -> None:
    table = Table.of(("a",), [(str(number),) for number in range(100)], most=10)
    assert (len(table.rows), table.total) == (10, 100)
