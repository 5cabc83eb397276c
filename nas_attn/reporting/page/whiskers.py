"""Differences with their intervals, a line for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from nas_attn.analysis import Interval, Versus
from nas_attn.reporting.page.chart import BLUE, GREY, VERMILLION, figure
from nas_attn.wording.placements import shortened

_LETTERS = 44
_ROW_PIXELS = 30
_LOOKS = {
    Versus.BETTER: (BLUE, "triangle-up"),
    Versus.WORSE: (VERMILLION, "triangle-down"),
    Versus.NOT_DISTINGUISHABLE: (GREY, "circle"),
    Versus.UNKNOWN: (GREY, "circle-open"),
}


@dataclass(frozen=True)
class Whisker:
    """One difference.

    Args:
        name: of what is compared.
        middle: the difference, in units of IoU.
        interval: of it; None where the noise is not known.
        versus: what the interval says.
        hover: what a pointer is told, in Plotly's few tags.
        placement: id of the placement that a click draws; None where there is none to draw.
    """

    name: str
    middle: float
    interval: Interval | None
    versus: Versus
    hover: str
    placement: str | None = None


def whiskers_figure(whiskers: Sequence[Whisker], x: str) -> go.Figure:
    """The first on top; colour and shape of a mark say what its interval does.

    Args:
        whiskers: at least one, their names' beginnings all different.
        x: title of the axis, in IoU points.
    """
    traces = [
        _trace(chosen, versus)
        for versus in _LOOKS
        if (chosen := [one for one in whiskers if one.versus is versus])
    ]
    names = [shortened(one.name, _LETTERS) for one in whiskers]
    made = figure(traces, x=x, y="", height=120 + _ROW_PIXELS * len(whiskers))
    made.update_yaxes(categoryorder="array", categoryarray=names[::-1], type="category")
    made.update_xaxes(zeroline=True, zerolinewidth=2, rangemode="tozero")
    return made


def _trace(whiskers: Sequence[Whisker], versus: Versus) -> go.Scatter:
    colour, symbol = _LOOKS[versus]
    return go.Scatter(
        name=str(versus),
        mode="markers",
        x=[100 * one.middle for one in whiskers],
        y=[shortened(one.name, _LETTERS) for one in whiskers],
        marker={"color": colour, "symbol": symbol, "size": 11},
        error_x=_error_bars(whiskers, colour),
        text=[one.hover for one in whiskers],
        hovertemplate="%{text}<extra></extra>",
        customdata=[one.placement for one in whiskers],
    )


def _error_bars(whiskers: Sequence[Whisker], colour: str) -> dict[str, Any] | None:
    """From the mean to both ends of its interval; None where there are no intervals."""
    reaches = [
        (100 * (one.interval.high - one.middle), 100 * (one.middle - one.interval.low))
        for one in whiskers
        if one.interval is not None
    ]
    if len(reaches) < len(whiskers):
        return None
    above, below = zip(*reaches, strict=True)
    bars = {"array": list(above), "arrayminus": list(below), "symmetric": False}
    return {"type": "data", "color": colour, "thickness": 2, **bars}
