"""Latencies of placements that were timed together, for the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from nas_attn.analysis import Ranking
from nas_attn.latencies import Latency, LatencyTable
from nas_attn.reporting.terminal.tables import add_numbers, slim_table
from nas_attn.wording.costs import cost_with_ratio, latency_notes
from nas_attn.wording.rankings import gained, named


def latency_table(latencies: LatencyTable, ranking: Ranking) -> RenderableType:
    """A row for each placement that was timed, best first, with its gain, MACs and parameters."""
    table = slim_table()
    add_numbers(table, "#")
    table.add_column("placement", overflow="fold")
    add_numbers(table, "gain", "ms", "ratio", f"ms of {latencies.batch}", "ratio", "MACs", "params")
    for row in ranking.rows:
        single, batched = ranking.latency_of(row), ranking.batch_latency_of(row)
        if single is not None and batched is not None:
            beside = (cost_with_ratio(row, ranking, name) for name in ("macs", "parameters"))
            table.add_row(str(row.rank), named(row), gained(row), *_cells(single), *_cells(batched), *beside)
    return Group(table, *(Text(note, style="dim") for note in latency_notes(ranking)))


def _cells(latency: Latency) -> tuple[str, str]:
    """Milliseconds; the ratio to the baseline with its quartiles."""
    return f"{latency.ms:.3g}", f"{latency.ratio:.2f}x ({latency.low:.2f}-{latency.high:.2f})"
