"""Differences with their intervals: of placements to the baseline, and of the winner to itself without a
module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from nas_attn.analysis import Interval, RankedPlacement, Ranking, Versus
from nas_attn.analysis.verification import Comparison, Verification
from nas_attn.metric import capitalised
from nas_attn.reporting.page.chart import BLUE, GREY, VERMILLION, Chart, Table, figure
from nas_attn.reporting.page.labels import delta, hover
from nas_attn.wording.placements import shortened
from nas_attn.wording.rankings import gained, named
from nas_attn.wording.verifications import comparison_text

_MOST = 12
_LETTERS = 44
_ROW_PIXELS = 30
_LOOKS = {
    Versus.BETTER: (BLUE, "triangle-up"),
    Versus.WORSE: (VERMILLION, "triangle-down"),
    Versus.NOT_DISTINGUISHABLE: (GREY, "circle"),
    Versus.UNKNOWN: (GREY, "circle-open"),
}


def compared_rows(ranking: Ranking) -> tuple[RankedPlacement, ...]:
    """The first rows of the ranking and the best reference architectures, as far as they were tested with the
    baseline."""
    known = [row for row in ranking.rows if row.tested]
    leaders = known[:_MOST]
    references = [row for row in known if row.reference is not None and row not in leaders]
    return (*leaders, *references[: _MOST // 2])


def differences_chart(rows: Sequence[RankedPlacement], word: str) -> Chart:
    """One line for each placement: the mean difference and its interval.

    Args:
        rows: of a ranking.
        word: name of its values.
    """
    return Chart(
        name="differences",
        title="Differences to the baseline",
        caption=(
            f"Measured {word} points over the baseline, paired seed by seed, for all placements tested with "
            "several "
            "seeds. The intervals are simultaneous for all of these. An interval that contains 0 means that the "
            "placement is not significantly different from the baseline. Expect the gain in the table rather "
            "than the measured one: the leading placements are partly ahead by chance."
        ),
        figure=_figure([_row_whisker(row, word) for row in rows], f"{word} points over the baseline"),
        table=Table.of(
            ("rank", "placement", "gain x100", "measured x100", "seeds", "verdict"),
            [
                (
                    str(row.rank),
                    named(row),
                    gained(row),
                    delta(row),
                    str(row.n_seeds),
                    str(row.better_than_baseline),
                )
                for row in rows
            ],
        ),
    )


def _row_whisker(row: RankedPlacement, word: str) -> _Whisker:
    return _Whisker(
        name=f"{row.rank}. {named(row)}",
        middle=row.delta or 0.0,
        interval=row.delta_interval,
        versus=row.better_than_baseline,
        hover=f"{hover(row, word)}<br>{row.better_than_baseline}",
        placement=row.placement.id,
    )


def ablation_chart(verification: Verification) -> Chart:
    """One line for each module without which the winner was run; there is at least one."""
    modules = [
        (f"{verification.winner[location]} at {location}", comparison)
        for location, comparison in verification.modules.items()
    ]
    word = modules[0][1].word
    return Chart(
        name="ablation",
        title="What each module adds to the winner",
        caption=(
            f"{capitalised(word)} points that the winner has over itself without the one module, on the test data "
            "with the fresh seeds, with the confidence interval. If the interval contains 0, leaving the "
            "module out makes no significant difference."
        ),
        figure=_figure(
            [_module_whisker(name, comparison) for name, comparison in modules],
            f"{word} points over the winner without it",
        ),
        table=Table.of(
            ("module", "what it adds", "verdict"),
            [(name, comparison_text(comparison), str(comparison.versus)) for name, comparison in modules],
        ),
    )


def _module_whisker(name: str, comparison: Comparison) -> _Whisker:
    told = f"<b>{escape(name)}</b><br>adds {comparison_text(comparison)}<br>{comparison.versus}"
    return _Whisker(name, comparison.delta, comparison.interval, comparison.versus, told)


@dataclass(frozen=True)
class _Whisker:
    """One difference.

    Args:
        name: of the placement or module.
        middle: the difference, in units of IoU.
        interval: of the difference; None if the noise is not known.
        versus: the result of the comparison.
        hover: text of the tooltip, in Plotly's few tags.
        placement: id of the placement that a click draws; None if there is none.
    """

    name: str
    middle: float
    interval: Interval | None
    versus: Versus
    hover: str
    placement: str | None = None


def _figure(whiskers: Sequence[_Whisker], x: str) -> go.Figure:
    """The figure, with the first difference on top. Colour and shape of a mark show the result of the comparison.

    Args:
        whiskers: at least one, with names whose beginnings all differ.
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


def _trace(whiskers: Sequence[_Whisker], versus: Versus) -> go.Scatter:
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


def _error_bars(whiskers: Sequence[_Whisker], colour: str) -> dict[str, Any] | None:
    """Bars from the mean to both ends of the interval; None if there are no intervals."""
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
