"""Charts and notes for optuna-dashboard, which draws them itself."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from html import escape
from importlib.resources import files

from nas_attn.analysis import RankedPlacement
from nas_attn.printable import harmless
from nas_attn.record import State, TrialRecord
from nas_attn.reporting.page.answer import holding_line
from nas_attn.reporting.page.chart import PAPER, Chart
from nas_attn.reporting.page.facts import StudyFacts
from nas_attn.reporting.page.front import front_chart, front_data
from nas_attn.reporting.page.labels import delta, iou
from nas_attn.reporting.page.sections import charts_of
from nas_attn.wording.numbers import amount, counted
from nas_attn.wording.placements import describe, role_word
from nas_attn.wording.rankings import gained, named, ranking_notes
from nas_attn.wording.verdicts import answer_text

_MOST_POINTS = 300
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>#|~!&]")
_HEIGHT = 450  # of the dashboard's cards; what is higher is cut off
_TITLE, _TITLE_AND_LEGEND = 48, 148  # pixels above a chart; a legend has five lines on a narrow screen
_AXIS_TITLE, _MOST_TICKS = 12, 7
_NAME_LETTERS, _NAME_SIZE = 18, 11


def dashboard_figures(facts: StudyFacts) -> dict[str, str]:
    """The charts of a report by name, each as Plotly's JSON, dark on white and with its title."""
    found = {chart.name: chart for chart in charts_of(facts)}
    if "front" in found:
        found["front"] = front_chart(front_data(facts.ranking, _MOST_POINTS), facts.network.input_name)
    return {name: _self_contained(chart) for name, chart in found.items()}


def study_note(facts: StudyFacts) -> str:
    """The ranking's verdict and notes in Markdown."""
    lines = [
        f"**{answer_text(facts.verdict)}**",
        literal(holding_line(facts)),
        *_picture(facts),
        facts.plain_curve_text,
        *ranking_notes(facts.ranking),
    ]
    return "\n\n".join(filter(None, lines))


def trial_note(record: TrialRecord, row: RankedPlacement | None = None, word: str = "") -> str:
    """A trial and its result in Markdown, with its placement drawn.

    Args:
        record: the trial.
        row: of its placement in the ranking; None if it is not ranked.
        word: name of the ranking's values.
    """
    reference = f", {record.reference}" if record.reference else ""
    lines = [
        drawn(record.placement.id, describe(record.placement)),
        f"**{describe(record.placement)}**",
        f"{role_word(record.role)}{reference}; seed {record.seed}; {record.budget}; {record.state}",
    ]
    if record.state is State.FAILED:
        lines.append(f"It failed: {literal(record.failure or 'no reason is known')}.")
    if row is not None:
        to_baseline = "" if row.is_plain else f", expected gain {gained(row)} points, measured {delta(row)}"
        lines.append(
            f"Rank {row.rank}: {word} x100 {iou(row.iou_mean, row.iou_interval)} over "
            f"{counted(row.n_seeds, 'seed')}{to_baseline}; {amount(row.cost.macs)} MACs, "
            f"{amount(row.cost.parameters)} parameters."
        )
    return "\n\n".join(lines)


def literal(text: str) -> str:
    r"""A text from outside, with everything escaped that has a meaning in Markdown or HTML.

    >>> literal("the mask <b>a_b</b> [x](y)")
    'the mask \\<b\\>a\\_b\\</b\\> \\[x\\](y)'
    """
    return _MARKDOWN.sub(r"\\\g<0>", harmless(text))


def drawn(placement_id: str, words: str) -> str:
    """An image in Markdown: the drawing of a placement, as the dashboard's server provides it."""
    return f"![{words}]({drawing_path(placement_id)})"


def drawing_path(placement_id: str) -> str:
    """Path of the drawing of a placement on the dashboard's server."""
    return f"/nas-attn/placements/{placement_id}.svg"


def chart_id(name: str) -> str:
    """Id under which the dashboard draws a chart; the style sheet recognises it by its prefix."""
    return f"nas-attn-{name}"


def dashboard_style() -> str:
    """CSS that makes the charts follow the dashboard's light and dark modes."""
    return files("nas_attn.reporting.page").joinpath("dashboard.css").read_text(encoding="utf-8")


def _picture(facts: StudyFacts) -> Iterator[str]:
    best = next((row for row in facts.ranking.rows if not row.is_plain), None)
    if best is not None:
        yield f"Rank {best.rank}: {named(best)}"
        yield drawn(best.placement.id, named(best))


def _self_contained(chart: Chart) -> str:
    figure = chart.figure
    above = any(trace.type == "heatmap" for trace in figure.data) or len(figure.data) > 1
    figure.update_layout(
        title={"text": chart.title, "x": 0.02, "y": 0.99, "yanchor": "top"},
        height=_HEIGHT,
        margin={"t": _TITLE_AND_LEGEND if above else _TITLE},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
    )
    figure.update_xaxes(nticks=_MOST_TICKS, title={"font": {"size": _AXIS_TITLE}, "standoff": 10})
    if names := figure.layout.yaxis.categoryarray:
        figure.update_yaxes(
            tickvals=list(names), ticktext=[_folded(name) for name in names], tickfont={"size": _NAME_SIZE}
        )
    return figure.to_json() or "{}"


def _folded(name: str) -> str:
    """A name at an axis in two short lines, because a card may be as narrow as a phone."""
    lines = textwrap.wrap(name, _NAME_LETTERS, max_lines=2, placeholder="…")
    return "<br>".join(map(escape, lines))
