"""A ranking as JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from nas_attn.analysis.result import RankedPlacement, Ranking
from nas_attn.latencies import Latency

COLUMNS: Mapping[str, Callable[[RankedPlacement, Ranking], object]] = {
    "rank": lambda row, _: row.rank,
    "placement_id": lambda row, _: row.placement.id,
    "placement": lambda row, _: row.placement.to_dict(),
    "iou_mean": lambda row, _: row.iou_mean,
    "iou_ci_low": lambda row, _: row.iou_interval and row.iou_interval.low,
    "iou_ci_high": lambda row, _: row.iou_interval and row.iou_interval.high,
    "iou_expected": lambda row, _: row.iou_expected,
    "gain": lambda row, _: row.gain,
    "delta_iou_mean": lambda row, _: row.delta,
    "delta_ci_low": lambda row, _: row.delta_interval and row.delta_interval.low,
    "delta_ci_high": lambda row, _: row.delta_interval and row.delta_interval.high,
    "tested": lambda row, _: row.tested,
    "better_than_plain": lambda row, _: str(row.better_than_plain),
    "n_seeds": lambda row, _: row.n_seeds,
    "n_collapsed": lambda row, _: row.n_collapsed,
    "n_runs": lambda row, _: row.n_runs,
    "macs": lambda row, _: row.cost.macs,
    "parameters": lambda row, _: row.cost.parameters,
    "latency_ms": lambda row, _: row.cost.latency_ms,
    "latency_ratio": lambda row, ranking: _ratio(ranking.latency_of(row)),
    "batch_latency_ratio": lambda row, ranking: _ratio(ranking.batch_latency_of(row)),
    "on_front": lambda row, _: row.on_front,
    "is_control": lambda row, _: row.control is not None,
    "front_probability": lambda row, _: row.front_probability,
}
"""What each column tells; ratios of latencies are of what was timed together with the baseline."""
COSTS_OF_A_ROW = ("macs", "parameters", "latency_ms", "latency_ratio", "batch_latency_ratio")
"""Of these columns those that tell what a placement costs."""


def ranking_json(
    ranking: Ranking,
    top: int | None = None,
    per_class: Mapping[str, Mapping[str, float | None]] = MappingProxyType({}),
) -> str:
    """A JSON list with one object for each placement, best first.

    IoU is a fraction of 1; what is not known is null; ``placement`` maps every location to its attention.

    Args:
        ranking: what to write.
        top: how many rows; all where left out.
        per_class: IoU of each class by the id of each placement; left out where nothing is known of it.
    """
    rows = [_row(row, ranking) | _of_classes(per_class.get(row.placement.id)) for row in ranking.rows[:top]]
    return json.dumps(rows, indent=2, allow_nan=False)


def ranking_rows(ranking: Ranking) -> list[dict[str, object]]:
    """A row for each placement, best first, as plain values by the names of ``COLUMNS``."""
    return [_row(row, ranking) for row in ranking.rows]


def cost_values(row: RankedPlacement | None, ranking: Ranking) -> dict[str, object]:
    """What a row costs, by the names of ``COSTS_OF_A_ROW``; None what is not known.

    Args:
        row: of the ranking; None where there is no such row.
        ranking: to which it belongs.
    """
    return {name: None if row is None else COLUMNS[name](row, ranking) for name in COSTS_OF_A_ROW}


def ranking_csv(ranking: Ranking, top: int | None = None) -> str:
    """The same columns as CSV with a header; what is not known is empty, ``placement`` is its text.

    Args:
        ranking: what to write.
        top: how many rows; all where left out.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in ranking.rows[:top]:
        values = _row(row, ranking) | {"placement": str(row.placement)}
        writer.writerow([str(value).lower() if isinstance(value, bool) else value for value in values.values()])
    return file.getvalue()


def _row(row: RankedPlacement, ranking: Ranking) -> dict[str, object]:
    return {name: value(row, ranking) for name, value in COLUMNS.items()}


def _ratio(latency: Latency | None) -> float | None:
    return None if latency is None else latency.ratio


def _of_classes(ious: Mapping[str, float | None] | None) -> dict[str, object]:
    return {} if ious is None else {"iou_per_class": dict(ious)}
