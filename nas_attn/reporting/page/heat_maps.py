"""Heat maps: the effect of each attention at each location, and its cost there."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from nas_attn.analysis.effects import Effect, Module, StudyEffects
from nas_attn.metric import capitalised
from nas_attn.models.placement import NONE
from nas_attn.record import Cost
from nas_attn.reporting.page.chart import INK, Chart, Table, figure
from nas_attn.reporting.page.facts import AddedCost
from nas_attn.wording.numbers import amount, bounds, counted, points

_LEAST_SHARE = 0.01
_TICKS = (0.01, 1, 100)
_MOST_ROWS = 400
_ROW_PIXELS = 30
_UPRIGHT_LETTERS = 8
"""Longer names are written vertically below a narrow column."""
_LINE_LETTERS, _LETTER_PIXELS = 20, 6.5
_FADED = 0.15
"""Strength of the colour of a faint cell."""
# Light enough for dark text in every cell, and told apart with every common kind of colour blindness.
DIVERGING = ((0.0, "#ee7733"), (0.5, "#dfe3e8"), (1.0, "#5aa9e6"))
"""From a loss over grey for 0 to a gain; dark text is legible on all colours."""
GROWING = ((0.0, "#dfe3e8"), (1.0, "#ee7733"))
"""From small to large values."""
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
"""The colour bar above the cells: beside them, it would take a third of a narrow screen."""
_BAR_PIXELS = 40
"""Distance between the cells and the bar's title."""


def effects_chart(effects: StudyEffects) -> Chart:
    """One cell for each attention at each location, in points of the study's metric; there is at least one."""
    cells = {
        (effect.location, effect.attention): _Cell(
            100 * effect.mean, _points(effect), _tell_effect(effect, effects.word), faint=not effect.is_sure
        )
        for effect in effects.effects
    }
    return Chart(
        name="effects",
        title="What matters where",
        caption=(
            f"{capitalised(effects.word)} points that an attention adds at a place, compared with none there and "
            "averaged over the attentions at the other locations. A star means that the "
            f"{effects.confidence:.0%} interval excludes 0; all others are faded. From "
            f"{counted(effects.n_runs, 'run')} of {counted(effects.n_placements, 'placement')}."
        ),
        figure=_heat_map(cells, f"{effects.word} points", diverging=True),
        table=Table.of(
            ("place", "attention", f"{effects.word} points", "interval", "placements"),
            [
                (
                    str(effect.location),
                    str(effect.attention),
                    _points(effect),
                    bounds(effect.interval),
                    str(effect.n_placements),
                )
                for effect in effects.effects
            ],
            most=_MOST_ROWS,
        ),
    )


def _points(effect: Effect) -> str:
    return points(effect.mean) + ("*" if effect.is_sure else "")


def _tell_effect(effect: Effect, word: str) -> str:
    return (
        f"<b>{effect.attention} at {effect.location}</b><br>{points(effect.mean)} {word} points "
        f"({bounds(effect.interval)})<br>tried in {counted(effect.n_placements, 'placement')}"
    )


def costs_chart(added: Sequence[AddedCost], plain: Cost) -> Chart:
    """MACs that each choice except ``none`` adds at its location, as a share of the baseline's."""
    told = [cost for cost in added if cost.spec != NONE]
    shares = [100 * cost.macs / max(1, plain.macs) for cost in told]
    return Chart(
        name="costs",
        title="Costs by place",
        caption=(
            f"MACs that an attention adds at a place, in per cent of the baseline's {amount(plain.macs)}; "
            "colours are logarithmic. An attention that replaces a more expensive convolution is below 0. MACs "
            "count "
            "convolutions, linear maps and matrix products: normalisation, pooling and multiplication by weights "
            "count as 0, but still take time."
        ),
        figure=_heat_map(
            {
                (cost.location, cost.spec): _Cell(_logarithm(share), _percent(share), _tell_cost(cost, plain))
                for cost, share in zip(told, shares, strict=True)
            },
            "% of the baseline's MACs",
            ticks=[(_logarithm(share), f"{share:g}") for share in _TICKS],
        ),
        table=Table.of(
            ("place", "attention", "MACs added", "% of the baseline", "parameters added"),
            [
                (
                    str(cost.location),
                    str(cost.spec),
                    amount(cost.macs),
                    _percent(share),
                    amount(cost.parameters),
                )
                for cost, share in zip(told, shares, strict=True)
            ],
            most=_MOST_ROWS,
        ),
    )


def _logarithm(value: float) -> float:
    """Logarithm of a value, with 0 as a thousandth, so that colours separate small costs from large ones."""
    return math.log10(max(value, 1e-3))


def _percent(share: float) -> str:
    """``0.012``, ``12``; values below a hundredth have more digits, and only 0 is shown as 0."""
    if 0 < abs(share) < _LEAST_SHARE:
        return f"<{_LEAST_SHARE}" if share > 0 else f">-{_LEAST_SHARE}"
    return f"{share:.2g}" if abs(share) < 10 else f"{share:.0f}"


def _tell_cost(cost: AddedCost, plain: Cost) -> str:
    macs, parameters = 100 * cost.macs / max(1, plain.macs), 100 * cost.parameters / max(1, plain.parameters)
    return (
        f"<b>{cost.spec} at {cost.location}</b><br>{amount(cost.macs)} MACs ({_percent(macs)} %)<br>"
        f"{amount(cost.parameters)} parameters ({_percent(parameters)} %)"
    )


@dataclass(frozen=True)
class _Cell:
    """An attention at a location.

    Args:
        value: that determines the colour; None if the attention cannot be placed there.
        text: in the cell.
        told: text of the tooltip.
        faint: whether the colour fades, because the effect may be 0.
    """

    value: float | None = None
    text: str = ""
    told: str = ""
    faint: bool = False

    @property
    def shade(self) -> float | None:
        """The value for the colour, nearer to 0 if the cell is faint."""
        return _FADED * self.value if self.faint and self.value is not None else self.value


def _heat_map(
    cells: Mapping[Module, _Cell],
    bar: str,
    *,
    diverging: bool = False,
    ticks: Sequence[tuple[float, str]] = (),
) -> go.Figure:
    """Locations from top to bottom, attentions from left to right; a gap if an attention cannot be placed at a
    location.

    Args:
        cells: of the map.
        bar: title of the colour bar.
        diverging: whether colours separate values below and above 0; otherwise they range from the lowest to the
            highest.
        ticks: (value, text) pairs beside the bar; the default is Plotly's own.
    """
    locations = sorted({location for location, _ in cells})
    specs = sorted({spec for _, spec in cells}, key=str)
    grid = [[cells.get((location, spec), _Cell()) for spec in specs] for location in locations]
    reach = max((abs(cell.value or 0.0) for cell in cells.values()), default=1.0) or 1.0
    trace = go.Heatmap(
        x=[str(spec) for spec in specs],
        y=[str(location) for location in locations],
        z=[[cell.shade for cell in row] for row in grid],
        text=[[cell.text for cell in row] for row in grid],
        customdata=[[cell.told for cell in row] for row in grid],
        texttemplate="%{text}",
        textfont={"color": INK},
        hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False,
        colorscale=[list(stop) for stop in (DIVERGING if diverging else GROWING)],
        colorbar={**_COLOUR_BAR, **_marked(ticks)},
        xgap=2,
        ygap=2,
        **({"zmin": -reach, "zmax": reach} if diverging else {}),
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
    """The name of an attention, and its options below, in lines short enough to leave room for the cells."""
    return textwrap.wrap(attention.replace("(", " (", 1), _LINE_LETTERS, max_lines=2, placeholder="…") or [""]


def _marked(ticks: Sequence[tuple[float, str]]) -> dict[str, list[float] | list[str]]:
    if not ticks:
        return {}
    return {"tickvals": [value for value, _ in ticks], "ticktext": [text for _, text in ticks]}
