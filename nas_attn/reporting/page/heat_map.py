"""A table of locations and attentions, coloured by a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set

import plotly.graph_objects as go

from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.reporting.page.chart import INK, figure

Cell = tuple[Location, AttentionSpec]

_ROW_PIXELS = 30
_FADED = 0.15
"""What is left of the colour of a faint cell."""
# Light enough for dark text in every cell, and told apart with every common kind of colour blindness.
DIVERGING = ((0.0, "#ee7733"), (0.5, "#dfe3e8"), (1.0, "#5aa9e6"))
"""From loss over nothing, which is grey, to gain."""
GROWING = ((0.0, "#dfe3e8"), (1.0, "#ee7733"))
"""From little to much."""


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
        colorbar={"title": {"text": bar, "side": "right"}, "thickness": 12, "outlinewidth": 0, **_marked(ticks)},
        xgap=2,
        ygap=2,
        **limits,
    )
    made = figure([trace], x="", y="", height=150 + _ROW_PIXELS * len(locations), left=96)
    made.update_yaxes(autorange="reversed", type="category", showgrid=False)
    made.update_xaxes(type="category", showgrid=False)
    return made


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
