"""The ranking as a table of the page."""

from __future__ import annotations

from html import escape

from nas_attn.analysis import RankedPlacement, Ranking
from nas_attn.reporting.page.labels import chance, delta, iou
from nas_attn.reporting.page.markup import cell_markup, list_markup, rows_markup
from nas_attn.wording.costs import BY_TRIALS, latency_text
from nas_attn.wording.numbers import amount
from nas_attn.wording.rankings import gained, named, ranking_notes

_TOP = 25


def ranking_markup(ranking: Ranking) -> str:
    """The first rows and the reference architectures, with buttons that draw them; empty if nothing is ranked."""
    if not ranking.rows:
        return ""
    rows = table_rows(ranking)
    timed = any(row.cost.latency_ms is not None for row in rows)
    headers = (
        "rank",
        "placement",
        f"{ranking.metric.word} x100",
        "gain x100",
        "measured x100",
        "seeds",
        *(["ms"] * timed),
        "MACs",
        "parameters",
        "on the Pareto front",
        "",
    )
    more = f"{len(rows)} of {len(ranking.rows):,} placements, " if len(rows) < len(ranking.rows) else ""
    signs = "* on the Pareto front, = not distinguishable from the first, ! unstable"
    if any(row.cost.latency_ms is not None and ranking.latency_of(row) is None for row in rows):
        signs += f", {BY_TRIALS} timed during the trials, alongside other work"
    drawn = (_ranking_row(row, ranking, timed=timed) for row in rows)
    return rows_markup(headers, drawn, more + signs) + list_markup(ranking_notes(ranking))


def table_rows(ranking: Ranking) -> tuple[RankedPlacement, ...]:
    """The first rows, and all reference architectures."""
    return tuple(row for row in ranking.rows if row.rank <= _TOP or row.is_plain or row.reference is not None)


def _ranking_row(row: RankedPlacement, ranking: Ranking, *, timed: bool) -> str:
    tied = row.tied_with_best and row.rank > 1
    signs = ("*" if row.on_front else "") + ("=" if tied else "") + ("!" if row.unstable else "")
    button = (
        f'<button type="button" data-placement="{row.placement.id}" '
        f'aria-label="draw {escape(named(row))}">draw</button>'
        if len(ranking.rows) > 1
        else ""
    )
    cells = (
        f"{row.rank}{signs}",
        named(row),
        iou(row.iou_mean, row.iou_interval),
        gained(row),
        delta(row),
        str(row.n_seeds),
        *([latency_text(row, ranking)] * timed),
        amount(row.cost.macs),
        amount(row.cost.parameters),
        chance(row),
    )
    return f"{''.join(map(cell_markup, cells))}<td>{button}</td>"
