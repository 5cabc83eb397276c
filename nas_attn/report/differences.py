"""Paired differences to the plain U-Net, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from nas_attn.ranking import RankedPlacement, Ranking, Versus
from nas_attn.report.chart import BLUE, GREY, VERMILLION, Chart, Table, figure
from nas_attn.report.words import delta, hover, named

_MOST = 12
_LETTERS = 44
_ROW_PIXELS = 30
_LOOKS = {
    Versus.BETTER: (BLUE, "triangle-up"),
    Versus.WORSE: (VERMILLION, "triangle-down"),
    Versus.NOT_DISTINGUISHABLE: (GREY, "circle"),
    Versus.UNKNOWN: (GREY, "circle-open"),
}


def compared_rows(ranking: Ranking, most: int = _MOST) -> tuple[RankedPlacement, ...]:
    """The first of the ranking and the best controls, as far as they share a seed with the plain U-Net."""
    known = [row for row in ranking.rows if row.delta is not None and not row.is_plain]
    leaders = known[:most]
    controls = [row for row in known if row.control is not None and row not in leaders]
    return (*leaders, *controls[: most // 2])


def differences_chart(rows: Sequence[RankedPlacement]) -> Chart:
    """One line for each placement: the mean difference and its interval."""
    return Chart(
        name="differences",
        title="Differences to the plain U-Net",
        caption=(
            "IoU points over the plain U-Net, paired seed by seed, with the confidence interval. An interval that "
            "crosses 0 says that the placement cannot be told from the plain U-Net."
        ),
        figure=_figure(rows),
        table=Table.of(
            ("rank", "placement", "to plain x100", "seeds", "verdict"),
            [
                (str(row.rank), named(row), delta(row), str(row.n_seeds), str(row.better_than_plain))
                for row in rows
            ],
        ),
    )


def _figure(rows: Sequence[RankedPlacement]) -> go.Figure:
    names = [f"{row.rank}. {_shortened(named(row))}" for row in rows]
    traces = []
    for versus, (colour, symbol) in _LOOKS.items():
        chosen = [(name, row) for name, row in zip(names, rows, strict=True) if row.better_than_plain is versus]
        if not chosen:
            continue
        middles = [row.delta or 0.0 for _, row in chosen]
        traces.append(
            go.Scatter(
                name=str(versus),
                mode="markers",
                x=[100 * middle for middle in middles],
                y=[name for name, _ in chosen],
                marker={"color": colour, "symbol": symbol, "size": 11},
                error_x=_error_bars([row for _, row in chosen], colour),
                text=[f"{hover(row)}<br>{row.better_than_plain}" for _, row in chosen],
                hovertemplate="%{text}<extra></extra>",
                customdata=[row.placement.id for _, row in chosen],
            )
        )
    made = figure(traces, x="IoU points over plain", y="", height=120 + _ROW_PIXELS * len(rows))
    made.update_yaxes(categoryorder="array", categoryarray=names[::-1], type="category")
    made.update_xaxes(zeroline=True, zerolinewidth=2)
    return made


def _error_bars(rows: Sequence[RankedPlacement], colour: str) -> dict[str, Any] | None:
    """From the mean to both ends of its interval; None where there are no intervals."""
    known = [(row.delta, row.delta_interval) for row in rows]
    reaches = [
        (100 * (interval.high - delta), 100 * (delta - interval.low))
        for delta, interval in known
        if delta is not None and interval is not None
    ]
    if len(reaches) < len(rows):
        return None
    above, below = zip(*reaches, strict=True)
    bars = {"array": list(above), "arrayminus": list(below), "symmetric": False}
    return {"type": "data", "color": colour, "thickness": 2, **bars}


def _shortened(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
