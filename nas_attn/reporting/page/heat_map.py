"""A table of locations and attentions, coloured by a number."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence, Set

import plotly.graph_objects as go

from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.reporting.page.chart import INK, figure

Cell = tuple[Location, AttentionSpec]

_ROW_PIXELS = 30
_UPRIGHT_LETTERS = 8
"""What is longer stands on its end below a narrow column."""
_LINE_LETTERS, _LETTER_PIXELS = 20, 6.5
_FADED = 0.15
"""What is left of the colour of a faint cell."""
# Light enough for dark text in every cell, and told apart with every common kind of colour blindness.
DIVERGING = ((0.0, "#ee7733"), (0.5, "#dfe3e8"), (1.0, "#5aa9e6"))
"""From loss over nothing, which is grey, to gain."""
GROWING = ((0.0, "#dfe3e8"), (1.0, "#ee7733"))
"""From little to much."""
_COLOUR_BAR = {
    "orientation": "h",
    "thickness": 10,
    "outlinewidth": 0,
    "x": 0.5,
    "y": 1.02,
    "yanchor": "bottom",
    "len": 1.0,
    "tickangle": 0,
    "tickfont": {"size": 11},
    "nticks": 4,
}
"""Above the cells: beside them it would take a third of a narrow screen."""
_BAR_PIXELS = 40
"""From the cells to the bar's title."""


def heat_map(
    values: Mapping[Cell, float],
    texts: Mapping[Cell, str],
    tells: Mapping[Cell, str],
    *,
    scale: Sequence[tuple[float, str]],
    bar: str,
    ticks: Sequence[tuple[float, str]] = (),
    middle: float | None = None,
    faint: Set[Cell] = frozenset(),
) -> go.Figure:
    """Locations from top to bottom, attentions from left to right; where none may stand there is a gap.

    Args:
        values: that give a cell its colour.
        texts: that stand in a cell.
        tells: what a pointer is told over a cell.
        scale: (share of the way, colour) pairs, on all of which dark text can be read.
        bar: title of the colour bar.
        ticks: (value, text) pairs beside it; Plotly's own where left out.
        middle: the value of the middle colour; None lets the colours reach from the lowest to the highest.
        faint: cells that fade, since nothing is known of them but that they may be the middle.
    """
    locations = sorted({location for location, _ in values})
    specs = sorted({spec for _, spec in values}, key=str)
    grid = [[(location, spec) for spec in specs] for location in locations]
    shown = {cell: _faded(value, middle) if cell in faint else value for cell, value in values.items()}
    reach = max((abs(value - (middle or 0.0)) for value in values.values()), default=1.0) or 1.0
    limits = {} if middle is None else {"zmin": middle - reach, "zmax": middle + reach}
    trace = go.Heatmap(
        x=[str(spec) for spec in specs],
        y=[str(location) for location in locations],
        z=[[shown.get(cell) for cell in row] for row in grid],
        text=[[texts.get(cell, "") for cell in row] for row in grid],
        customdata=[[tells.get(cell, "") for cell in row] for row in grid],
        texttemplate="%{text}",
        textfont={"color": INK},
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        colorscale=[list(stop) for stop in scale],
        colorbar={**_COLOUR_BAR, **_marked(ticks)},
        xgap=2,
        ygap=2,
        **limits,
    )
    lines = [_lines(str(spec)) for spec in specs]
    longest = max((len(line) for label in lines for line in label), default=0)
    below = {"tickangle": -90} if longest > _UPRIGHT_LETTERS else {}
    height = 130 + _ROW_PIXELS * len(locations) + (_LETTER_PIXELS * longest if below else 0)
    made = figure([trace], x="", y="", height=round(height))
    made.update_layout(margin={"t": 76})
    above = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 1.0, "yshift": _BAR_PIXELS, "yanchor": "bottom"}
    made.add_annotation(text=bar, showarrow=False, **above)
    made.update_yaxes(autorange="reversed", type="category", showgrid=False)
    made.update_xaxes(type="category", showgrid=False, tickfont={"size": 11}, **below)
    made.update_xaxes(tickvals=[str(spec) for spec in specs], ticktext=["<br>".join(label) for label in lines])
    return made


def _lines(attention: str) -> list[str]:
    """The name of an attention, and below it its options, in lines of a length that leaves room for the cells."""
    return textwrap.wrap(attention.replace("(", " (", 1), _LINE_LETTERS, max_lines=2, placeholder="…") or [""]


def _faded(value: float, middle: float | None) -> float:
    """Nearer to the middle's colour."""
    return (middle or 0.0) + _FADED * (value - (middle or 0.0))


def _marked(ticks: Sequence[tuple[float, str]]) -> dict[str, list[float] | list[str]]:
    if not ticks:
        return {}
    return {"tickvals": [value for value, _ in ticks], "ticktext": [text for _, text in ticks]}


def logarithm(value: float) -> float:
    """Of a value of which 0 counts as a thousandth: colours that tell small costs from large ones."""
    return math.log10(max(value, 1e-3))
