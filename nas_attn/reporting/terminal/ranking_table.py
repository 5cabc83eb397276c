"""Tables for the terminal: a ranking, and the latencies of placements that were timed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from nas_attn.analysis import Interval, PooledSd, RankedPlacement, Ranking, Versus
from nas_attn.analysis.costs import cost_ratio
from nas_attn.latencies import Latency, LatencyTable
from nas_attn.metric import MEAN_IOU
from nas_attn.reporting.terminal.tables import add_numbers, slim_table
from nas_attn.wording.costs import BY_TRIALS, cost_with_ratio, latency_notes
from nas_attn.wording.numbers import amount
from nas_attn.wording.rankings import COLLAPSED, gained, measured, named, ranking_notes, ranking_verdict

WIDE = 110
"""Width of a terminal, in columns, from which the whole table fits."""
_WITH_COSTS = 72
"""Width from which score and costs leave enough room for the placements."""
_PLACEMENT_WIDTH = 34
_STYLES = {Versus.BETTER: "green", Versus.WORSE: "red", Versus.NOT_DISTINGUISHABLE: "", Versus.UNKNOWN: "dim"}


def ranking_table(ranking: Ranking, top: int | None = None, *, said: str = "") -> RenderableType:
    """The answer, the first rows of a ranking with the baseline's, and a legend of the signs.

    Args:
        ranking: of a study.
        top: number of rows; the default is all.
        said: the study's answer; the default is the ranking's verdict.
    """
    said = said or ranking_verdict(ranking)
    if not ranking.rows:
        return Group(Text(said), *_lines(ranking_notes(ranking)))
    shown = list(ranking.rows[:top])
    if ranking.plain is not None and not any(row.is_plain for row in shown):
        shown.append(ranking.plain)
    return Group(Text(said, style="bold"), _Rows(ranking, shown), *_lines(_footnotes(ranking, shown)))


@dataclass(frozen=True)
class _Rows:
    """The rows as a table, with the columns that fit."""

    ranking: Ranking
    rows: Sequence[RankedPlacement]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width >= WIDE:
            yield _wide(self.ranking, self.rows)
        elif options.max_width >= _WITH_COSTS:
            yield _narrow(self.ranking, self.rows)
        else:
            yield _narrowest(self.ranking, self.rows)


def _wide(ranking: Ranking, rows: Sequence[RankedPlacement]) -> Table:
    timed = any(row.cost.latency_ms is not None for row in rows)
    remembered = ranking.cost == "memory"
    table = slim_table()
    add_numbers(table, "#")
    table.add_column("id", no_wrap=True)
    table.add_column("placement", max_width=_PLACEMENT_WIDTH, overflow="fold")
    add_numbers(table, f"{ranking.metric.word} x100", "gain", "measured", "seeds")
    add_numbers(table, *[_latency_title(ranking)] * timed, "MACs", "params", *["MiB"] * remembered)
    table.add_column("", no_wrap=True)
    for row in rows:
        *cells, macs, parameters = _cells(row, ranking)
        latency = [_latency(row, ranking)] * timed
        memory = [_measured(row.cost.peak_memory_mib)] * remembered
        table.add_row(*cells, *latency, macs, parameters, *memory, _marks(row))
    return table


def _narrow(ranking: Ranking, rows: Sequence[RankedPlacement]) -> Table:
    """Rank, placement, difference and marks, with score and cost in as few letters as possible."""
    table, timed = slim_table(), ranking.latencies is not None
    add_numbers(table, "#")
    table.add_column("placement", overflow="fold")
    add_numbers(table, ranking.metric.word, "gain", "measured", *[_latency_title(ranking)] * timed, "MACs")
    table.add_column("", no_wrap=True)
    for row in rows:
        rank, _, placement, _, gain, tested, *_ = _cells(row, ranking)
        score, ratio = Text(f"{100 * row.iou_mean:.1f}"), cost_ratio(row, ranking, "macs")
        macs = Text(amount(row.cost.macs) if ratio is None else f"{ratio:.2f}x")
        latency = [_latency(row, ranking)] * timed
        table.add_row(rank, placement, score, gain, tested, *latency, macs, _marks(row))
    return table


def _narrowest(ranking: Ranking, rows: Sequence[RankedPlacement]) -> Table:
    """Only rank, placement, difference and marks."""
    table = slim_table()
    add_numbers(table, "#")
    table.add_column("placement", overflow="fold")
    add_numbers(table, "gain", "measured")
    table.add_column("", no_wrap=True)
    for row in rows:
        rank, _, placement, _, gain, tested, *_ = _cells(row, ranking)
        table.add_row(rank, placement, gain, tested, _marks(row))
    return table


def _cells(row: RankedPlacement, ranking: Ranking) -> list[Text]:
    return [
        Text(str(row.rank)),
        Text(row.placement.id),
        Text(named(row), style="bold" if row.is_plain else ""),
        Text(_plus_minus(row.iou_mean, row.iou_interval)),
        Text(gained(row), style="bold"),
        Text(measured(row), style=_STYLES[row.better_than_baseline]),
        Text(str(row.n_seeds)),
        Text(cost_with_ratio(row, ranking, "macs")),
        Text(amount(row.cost.parameters)),
    ]


def _plus_minus(value: float, interval: Interval | None) -> str:
    """A mean plus or minus half the width of its interval, before the interval was clipped to 0 and 1."""
    if interval is None:
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f} ±{100 * max(value - interval.low, interval.high - value):.1f}"


def _latency_title(ranking: Ranking) -> str:
    return "ms" if ranking.latencies is None else "time"


def _latency(row: RankedPlacement, ranking: Ranking) -> Text:
    """The ratio to the baseline's latency if placements were timed together, otherwise milliseconds."""
    if ranking.latencies is None:
        return _measured(row.cost.latency_ms)
    ratio, mark = cost_ratio(row, ranking, "latency"), "" if ranking.latency_of(row) else BY_TRIALS
    return Text("-" if ratio is None else f"{mark}{ratio:.2f}x")


def _measured(value: float | None) -> Text:
    return Text("-" if value is None else f"{value:.3g}")


def _marks(row: RankedPlacement) -> Text:
    front, tied = row.on_front, row.tied_with_best and row.rank > 1
    return Text(
        ("*" if front else " ")
        + ("=" if tied else " ")
        + ("!" if row.unstable else "")
        + ("c" if row.n_collapsed else "")
    )


def _footnotes(ranking: Ranking, rows: Sequence[RankedPlacement]) -> list[str]:
    notes = [
        f"gain: expected {ranking.metric.word} x100 over the baseline, given all runs; measured: in runs that "
        "took no part in the selection.",
        f"*  on the Pareto front: no other placement is expected to reach its {ranking.metric.word} with fewer "
        f"{_unit(ranking.cost)}.",
    ]
    if ranking.metric.name != MEAN_IOU:
        notes.insert(0, f"{ranking.metric.title}: {ranking.metric.definition}.")
    if any(row.tied_with_best and row.rank > 1 for row in rows):
        notes.append("=  not distinguishable from the first.")
    if any(row.n_collapsed for row in rows):
        notes.append(f"c  some of its runs collapsed: {COLLAPSED}.")
    if ranking.noise.pair is not None and ranking.noise.pair.tells_intervals:
        notes.append(_intervals(ranking, ranking.noise.pair))
    if ranking.n_tested:
        notes.append("Order: tested placements by gain, then those that were only tried.")
    if any(row.cost.latency_ms is not None and ranking.latency_of(row) is None for row in rows):
        mark = "ms" if ranking.latencies is None else f"{BY_TRIALS} "
        notes.append(f"{mark} timed during the trials, alongside other work.")
    if len(rows) < len(ranking.rows):
        notes.append(f"{len(rows)} of {len(ranking.rows)} placements shown.")
    return [*notes, *ranking_notes(ranking)]


def _intervals(ranking: Ranking, pair: PooledSd) -> str:
    tested = f"all {ranking.n_tested} tested placements together" if ranking.n_tested > 1 else "what was tested"
    return (
        f"Intervals of measured gains: {ranking.confidence:.0%} for {tested}, {_over(ranking)}. A "
        f"paired difference varies by {100 * pair.sd:.2f} points from seed to seed (pooled, "
        f"{pair.degrees_of_freedom:.0f} degrees of freedom)."
    )


def _over(ranking: Ranking) -> str:
    """The sources of variation that the intervals cover."""
    return (
        "over seeds" if ranking.image_groups is None else f"over seeds and {ranking.image_groups} groups of images"
    )


def _unit(cost: str) -> str:
    return {"macs": "MACs", "parameters": "parameters", "latency": "milliseconds", "memory": "MiB"}[cost]


def _lines(texts: Sequence[str]) -> list[RenderableType]:
    return [Text(text, style="dim") for text in texts]


def latency_table(latencies: LatencyTable, ranking: Ranking) -> RenderableType:
    """One row for each placement that was timed, best first, with its gain, MACs and parameters."""
    table = slim_table()
    add_numbers(table, "#")
    table.add_column("placement", overflow="fold")
    add_numbers(table, "gain", "ms", "ratio", f"ms of {latencies.batch}", "ratio", "MACs", "params")
    for row in ranking.rows:
        single, batched = ranking.latency_of(row), ranking.batch_latency_of(row)
        if single is not None and batched is not None:
            beside = (cost_with_ratio(row, ranking, name) for name in ("macs", "parameters"))
            table.add_row(str(row.rank), named(row), gained(row), *_times(single), *_times(batched), *beside)
    return Group(table, *(Text(note, style="dim") for note in latency_notes(ranking)))


def _times(latency: Latency) -> tuple[str, str]:
    """Milliseconds, and the ratio to the baseline with its quartiles."""
    return f"{latency.ms:.3g}", f"{latency.ratio:.2f}x ({latency.low:.2f}-{latency.high:.2f})"
