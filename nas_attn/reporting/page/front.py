"""The chart of gain against cost: all placements and the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from nas_attn.analysis import RankedPlacement, Ranking, cost_of, pareto_front
from nas_attn.metric import Metric
from nas_attn.reporting.page.chart import BLUE, GREEN, GREY, VERMILLION, Chart, Table, figure
from nas_attn.reporting.page.labels import chance, cost, cost_title, delta, hover, iou, milliseconds
from nas_attn.wording.rankings import gained, named

MOST_POINTS = 600
_LEAST_TIMED = 3


@dataclass(frozen=True)
class FrontData:
    """The data of the chart.

    Args:
        rows: the placements that are drawn, best first.
        front: those on the Pareto front, cheapest first.
        total: number of placements whose cost is known.
        cost: name of the cost.
        metric: of the study.
        timed: whether only placements are shown whose latency was timed together.
    """

    rows: tuple[RankedPlacement, ...]
    front: tuple[RankedPlacement, ...]
    total: int
    cost: str
    metric: Metric
    timed: bool = False


def front_data(ranking: Ranking, most: int = MOST_POINTS) -> FrontData:
    """The placements to draw: all of them or, if there are many, the important ones and an even sample of the
    others.

    Important are the front, the baseline and the other reference architectures, placements with several seeds, and
    then the first ones of the ranking, up to a quarter of the points.
    """
    known = [row for row in ranking.rows if cost_of(row, ranking.cost) is not None]
    front = sorted((row for row in known if row.on_front), key=lambda row: cost_of(row, ranking.cost) or 0.0)
    return FrontData(tuple(_thinned(known, most)), tuple(front), len(known), ranking.cost, ranking.metric)


def timed_front_data(ranking: Ranking) -> FrontData | None:
    """The placements that were timed together against their latency, with the front of these alone.

    None if there are fewer than three, or if latency is the cost of the ranking, so that ``front_data`` shows it.
    """
    timed = [row for row in ranking.rows if ranking.latency_of(row) is not None]
    if len(timed) < _LEAST_TIMED or ranking.cost == "latency":
        return None
    on_front = pareto_front([(row.iou_expected, cost_of(row, "latency") or 0.0) for row in timed])
    front = sorted((timed[number] for number in on_front), key=lambda row: cost_of(row, "latency") or 0.0)
    return FrontData(tuple(timed), tuple(front), len(timed), "latency", ranking.metric, timed=True)


def front_chart(data: FrontData, input_name: str = "image") -> Chart:
    """The expected paired difference to the baseline against the cost.

    Args:
        data: of the chart.
        input_name: input of the network for which costs were counted.
    """
    word = data.metric.word
    thinned = (
        f" {len(data.rows):,} of {data.total:,} placements are drawn: the important ones, and an even sample "
        "of the rest."
        if len(data.rows) < data.total
        else ""
    )
    which = (
        " Only placements that were timed together are shown, and the front is computed among them."
        if data.timed
        else ""
    )
    return Chart(
        name="timed-front" if data.timed else "front",
        title=f"Gain against {'latency' if data.timed else 'cost'}",
        caption=(
            "Each mark is a placement at its gain in the ranking: the paired difference to the baseline in "
            f"{word} points that is expected, given all runs. The chart of differences above shows intervals of "
            "the measured gains. The line is the Pareto front: no cheaper placement is expected to be as good. "
            f"Point at a mark to read its placement, click it to draw it.{which}{thinned}"
        ),
        figure=_figure(data, cost_title(data.cost, input_name)),
        table=_table(data),
    )


def _thinned(rows: Sequence[RankedPlacement], most: int) -> list[RankedPlacement]:
    if len(rows) <= most:
        return list(rows)
    told = [row for row in rows if row.on_front or row.is_plain or row.reference is not None]
    several = [row for row in rows if row.tested]
    chosen = {row.rank for row in [*told, *several, *rows[: most // 4]][: most // 4 * 3]}
    others = [row for row in rows if row.rank not in chosen]
    room = most - len(chosen)
    chosen |= {others[number * len(others) // room].rank for number in range(room)}
    return [row for row in rows if row.rank in chosen]


def _figure(data: FrontData, cost_axis: str) -> go.Figure:
    groups = (
        ("one run", GREY, "circle-open", 7),
        ("several seeds", BLUE, "circle", 9),
        ("reference architecture", GREEN, "square", 9),
        ("baseline", VERMILLION, "diamond", 13),
    )
    traces: list[Any] = [_line(data)]
    for name, colour, symbol, size in groups:
        if rows := [row for row in data.rows if _group(row) == name]:
            traces.append(_marks(data, name, rows, {"color": colour, "symbol": symbol, "size": size}))
    return figure(
        traces,
        x=cost_axis,
        y=f"gain over the baseline, {data.metric.word} points" if _has_gains(data) else f"{data.metric.word} x100",
        height=480,
        hovermode="closest",
        xaxis={"title": {"text": cost_axis}, "tickformat": "~s", "automargin": True},
    )


def _group(row: RankedPlacement) -> str:
    if row.is_plain:
        return "baseline"
    if row.reference is not None:
        return "reference architecture"
    return "several seeds" if row.tested else "one run"


def _marks(data: FrontData, name: str, rows: Sequence[RankedPlacement], marker: dict[str, Any]) -> go.Scatter:
    return go.Scatter(
        name=name,
        mode="markers",
        x=[cost_of(row, data.cost) for row in rows],
        y=[_height(data, row) for row in rows],
        marker={"line": {"width": 1.5 if marker["symbol"].endswith("-open") else 0}, **marker},
        text=[hover(row, data.metric.word) for row in rows],
        hovertemplate="%{text}<extra></extra>",
        customdata=[row.placement.id for row in rows],
    )


def _has_gains(data: FrontData) -> bool:
    """Whether the baseline was run, so that there are gains over it."""
    return all(row.gain is not None for row in data.rows)


def _height(data: FrontData, row: RankedPlacement) -> float:
    """The gain in points as in the table; without a baseline, the expected value."""
    return 100 * (row.iou_expected if row.gain is None or not _has_gains(data) else row.gain)


def _line(data: FrontData) -> go.Scatter:
    return go.Scatter(
        name="Pareto front",
        mode="lines",
        x=[cost_of(row, data.cost) for row in data.front],
        y=[_height(data, row) for row in data.front],
        line={"color": BLUE, "width": 2, "shape": "hv"},
        hoverinfo="skip",
    )


def _table(data: FrontData) -> Table:
    timed = data.cost != "latency" and any(row.cost.latency_ms is not None for row in data.rows)
    rows = [
        (
            str(row.rank),
            named(row),
            iou(row.iou_mean, row.iou_interval),
            gained(row),
            delta(row),
            str(row.n_seeds),
            cost(cost_of(row, data.cost)),
            *([milliseconds(row.cost.latency_ms)] * timed),
            "yes" if row in data.front else "",
            chance(row),
        )
        for row in sorted(data.rows, key=lambda row: (row not in data.front, row.rank))
    ]
    headers = (
        "rank",
        "placement",
        f"{data.metric.word} x100",
        "gain x100",
        "measured x100",
        "seeds",
        data.cost,
        *(["ms"] * timed),
        "on the Pareto front",
        "with a chance of",
    )
    return Table.of(headers, rows)
