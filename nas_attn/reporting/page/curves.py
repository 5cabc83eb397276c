"""Learning curves: the training loss of the winner, the baseline and the best reference architecture, among all
runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import plotly.graph_objects as go

from nas_attn.analysis import RankedPlacement, Ranking
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.reporting.page.chart import BLUE, GREEN, GREY, SHADE, VERMILLION, Chart, Table, figure
from nas_attn.wording.numbers import counted
from nas_attn.wording.placements import describe, shortened

_BAND = (10, 90)
_LETTERS = 40


@dataclass(frozen=True)
class Curve:
    """A placement's training loss, averaged over its runs.

    Args:
        name: of the placement.
        points: (step, loss), ascending.
        n_runs: number of runs in the mean.
    """

    name: str
    points: tuple[tuple[int, float], ...]
    n_runs: int


@dataclass(frozen=True)
class CurveData:
    """The data of the chart of learning curves.

    Args:
        curves: of the shown placements.
        band: (step, low, high): limits of the middle 80 % of all runs.
        n_runs: number of all runs.
    """

    curves: tuple[Curve, ...]
    band: tuple[tuple[int, float, float], ...]
    n_runs: int


def curve_data(records: Sequence[TrialRecord], ranking: Ranking) -> CurveData:
    """The curves of the ranked runs; empty if they have none."""
    runs = [record for record in records if record.outcome is not None and record.budget == ranking.budget]
    by_placement: dict[Placement, list[TrialRecord]] = defaultdict(list)
    for record in runs:
        by_placement[record.placement].append(record)
    curves = [(_name(row), _mean_points(by_placement[row.placement]), row) for row in _told(ranking)]
    return CurveData(
        tuple(Curve(name, points, len(by_placement[row.placement])) for name, points, row in curves if points),
        tuple(
            (step, float(low), float(high))
            for step, losses in sorted(_losses(runs).items())
            for low, high in [np.percentile(losses, _BAND)]
        ),
        len(runs),
    )


def curves_chart(data: CurveData) -> Chart:
    """Loss over steps."""
    return Chart(
        name="curves",
        title="Learning curves",
        caption=(
            "Training loss, averaged since the point before and over the runs of a placement, each with its own "
            f"seeds. The band holds the middle 80 % of all {counted(data.n_runs, 'run')} of this budget. While "
            "the learning rate is still high, the loss says little about the final result."
        ),
        figure=_figure(data),
        table=_table(data),
    )


def _told(ranking: Ranking) -> list[RankedPlacement]:
    """The first placement, the baseline, and the best of the other reference architectures."""
    first = next((row for row in ranking.rows if not row.is_plain), None)
    reference = next(
        (row for row in ranking.rows if row.reference and not row.is_plain and row is not first), None
    )
    return [row for row in (first, ranking.plain, reference) if row is not None]


def _name(row: RankedPlacement) -> str:
    short = shortened(describe(row.placement), _LETTERS)
    return short if row.is_plain else f"{row.rank}. {short}"


def _losses(records: Sequence[TrialRecord]) -> dict[int, list[float]]:
    losses: dict[int, list[float]] = defaultdict(list)
    for record in records:
        for point in record.outcome.curve if record.outcome else ():
            losses[point.step].append(point.loss)
    return losses


def _mean_points(records: Sequence[TrialRecord]) -> tuple[tuple[int, float], ...]:
    return tuple((step, fmean(losses)) for step, losses in sorted(_losses(records).items()))


def _figure(data: CurveData) -> go.Figure:
    steps = [step for step, _, _ in data.band]
    lows, highs = ([band[side] for band in data.band] for side in (1, 2))
    edge = {"mode": "lines", "line": {"width": 1, "color": GREY}, "hoverinfo": "skip"}
    traces = [
        go.Scatter(x=steps, y=lows, showlegend=False, **edge),
        go.Scatter(x=steps, y=highs, name="80 % of all runs", fill="tonexty", fillcolor=SHADE, **edge),
    ]
    looks = ((BLUE, "solid"), (VERMILLION, "dash"), (GREEN, "dot"), (GREY, "dashdot"))
    for curve, (colour, dash) in zip(data.curves, looks, strict=False):
        traces.append(
            go.Scatter(
                name=curve.name,
                mode="lines",
                x=[step for step, _ in curve.points],
                y=[loss for _, loss in curve.points],
                line={"color": colour, "width": 2.5, "dash": dash},
            )
        )
    return figure(traces, x="steps", y="training loss", hovermode="x unified")


def _table(data: CurveData) -> Table:
    by_curve = [dict(curve.points) for curve in data.curves]
    rows = [
        (str(step), f"{low:.3f} to {high:.3f}", *(_loss(points.get(step)) for points in by_curve))
        for step, low, high in data.band
    ]
    return Table.of(("step", "80 % of all runs", *(curve.name for curve in data.curves)), rows)


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
