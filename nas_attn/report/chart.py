"""A chart: a figure, how to read it, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

# Okabe and Ito (2008): told apart with every common kind of colour blindness, on white and on near-black.
BLUE, SKY, GREEN, ORANGE, VERMILLION, PURPLE, GREY = (
    "#0072b2",
    "#56b4e9",
    "#009e73",
    "#e69f00",
    "#d55e00",
    "#cc79a7",
    "#8a8f98",
)


@dataclass(frozen=True)
class Table:
    """What a chart shows, in rows of text.

    Args:
        headers: of the columns.
        rows: the first of them where there are many.
        total: how many there are.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: int

    @classmethod
    def of(cls, headers: Sequence[str], rows: Sequence[Sequence[str]], most: int = 60) -> Table:
        """A table of the first rows."""
        return cls(tuple(headers), tuple(tuple(row) for row in rows[:most]), len(rows))


@dataclass(frozen=True)
class Chart:
    """A figure with what belongs to it.

    Args:
        name: of the figure, in letters and hyphens.
        title: what it shows, in few words.
        caption: how to read it, in a sentence or two.
        figure: colours of text and grid are the page's.
        table: the same in rows.
    """

    name: str
    title: str
    caption: str
    figure: go.Figure
    table: Table


def figure(
    traces: Sequence[Any], *, x: str, y: str, height: int = 420, left: int = 64, **layout: Any
) -> go.Figure:
    """A figure without a ground and a title of its own.

    Args:
        traces: Plotly's.
        x: title of the horizontal axis.
        y: title of the vertical axis.
        height: in pixels.
        left: margin in pixels.
        layout: whatever else Plotly is to be told.
    """
    made = go.Figure(list(traces))
    made.update_layout(
        template="none",
        height=height,
        margin={"l": left, "r": 16, "t": 16, "b": 56},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={"title": {"text": x}, "automargin": True},
        yaxis={"title": {"text": y}, "automargin": True},
        hoverlabel={"align": "left"},
    )
    made.update_layout(**layout)
    return made
