"""A chart: a figure, an explanation, and the same data as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

INK, PAPER = "#1f2933", "#ffffff"
# After Okabe and Ito (2008), all of a middle lightness: a mark has a contrast of 3 to white and to near-black, so
# that a chart needs no second set for the dark. What differs in colour differs in shape too.
BLUE, GREEN, VERMILLION, PURPLE, GREY = "#3b78d8", "#009e73", "#d55e00", "#c06c9a", "#8a8f98"
SHADE = "rgba(138,143,152,.12)"


@dataclass(frozen=True)
class Table:
    """The data of a chart, in rows of text.

    Args:
        headers: of the columns.
        rows: all rows, or the first of many.
        total: number of all rows.
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
    """A figure with its texts.

    Args:
        name: of the figure, in letters and hyphens.
        title: its content, in a few words.
        caption: how to read it, in a sentence or two.
        figure: dark marks without a background; the page sets the colours of text and grid.
        table: the same data in rows.
    """

    name: str
    title: str
    caption: str
    figure: go.Figure
    table: Table


def figure(traces: Sequence[Any], *, x: str, y: str, height: int = 420, **layout: Any) -> go.Figure:
    """A figure without a background and a title of its own.

    Args:
        traces: of Plotly.
        x: title of the horizontal axis.
        y: title of the vertical axis.
        height: in pixels.
        layout: further options of Plotly's layout.
    """
    made = go.Figure(list(traces))
    made.update_layout(
        template="none",
        height=height,
        margin={"l": 64, "r": 16, "t": 16, "b": 56},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        xaxis={"title": {"text": x}, "automargin": True},
        yaxis={"title": {"text": y}, "automargin": True},
        hoverlabel={"align": "left", "bgcolor": PAPER, "bordercolor": GREY, "font": {"color": INK}},
    )
    made.update_layout(**layout)
    return made
