"""Rows of a ranking in words, for tables and tooltips."""

from __future__ import annotations

import textwrap
from html import escape

from nas_attn.analysis import Interval, RankedPlacement
from nas_attn.wording.numbers import amount, bounds, counted
from nas_attn.wording.rankings import gained, measured, named

_HOVER_LETTERS = 60


def cost_title(cost: str, input_name: str) -> str:
    """Title of a cost, for an axis or a table: ``MACs of one image``."""
    titles = {
        "macs": f"MACs of one {input_name}",
        "parameters": "trainable parameters",
        "latency": f"ms for one {input_name}",
        "memory": "MiB of a training step",
    }
    return titles[cost]


def iou(value: float, interval: Interval | None) -> str:
    """IoU x100: ``86.4 (85.9 to 86.9)``, or ``86.4 (not known)``."""
    return f"{100 * value:.1f} ({bounds(interval)})"


def delta(row: RankedPlacement) -> str:
    """The measured gain over the baseline in IoU points, ``+0.9 (0.4 to 1.4)``, or that it was not tested."""
    return "-" if row.is_plain else measured(row) if row.tested else "not tested"


def cost(value: float | None) -> str:
    """A cost in three digits."""
    return "-" if value is None else amount(value)


def percent(value: float | None) -> str:
    """A share of 1 in per cent: ``86.4``."""
    return "-" if value is None else f"{100 * value:.1f}"


def milliseconds(value: float | None) -> str:
    """A latency in three digits."""
    return "-" if value is None else f"{value:.3g}"


def chance(row: RankedPlacement) -> str:
    """The probability of being on the Pareto front: ``64%``."""
    return "-" if row.front_probability is None else f"{row.front_probability:.0%}"


def hover(row: RankedPlacement, word: str) -> str:
    """The tooltip of a placement's mark, in Plotly's few tags.

    Args:
        row: of a ranking.
        word: name of its values.
    """
    words = "<br>".join(escape(line) for line in textwrap.wrap(named(row), _HOVER_LETTERS))
    gain = "" if row.is_plain else f"<br>expected gain: {gained(row)} points; measured: {delta(row)}"
    likely = (
        ""
        if row.front_probability is None
        else f"<br>on the Pareto front with a chance of {row.front_probability:.0%}"
    )
    return (
        f"<b>{row.rank}. {words}</b><br>{word} x100: {iou(row.iou_mean, row.iou_interval)}, "
        f"{counted(row.n_seeds, 'seed')}; to expect: {100 * row.iou_expected:.1f}{gain}<br>"
        f"{amount(row.cost.macs)} MACs, {amount(row.cost.parameters)} parameters{_taking(row)}{likely}"
    )


def _taking(row: RankedPlacement) -> str:
    return "" if row.cost.latency_ms is None else f", {milliseconds(row.cost.latency_ms)} ms"
