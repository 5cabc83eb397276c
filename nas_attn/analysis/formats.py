"""A ranking as JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from types import MappingProxyType

from nas_attn.analysis.result import RankedPlacement, Ranking

COLUMNS = (
    "rank",
    "placement_id",
    "placement",
    "iou_mean",
    "iou_ci_low",
    "iou_ci_high",
    "iou_expected",
    "gain",
    "delta_iou_mean",
    "delta_ci_low",
    "delta_ci_high",
    "tested",
    "better_than_plain",
    "n_seeds",
    "n_collapsed",
    "n_runs",
    "macs",
    "parameters",
    "latency_ms",
    "latency_ratio",
    "batch_latency_ratio",
    "on_front",
    "is_control",
    "front_probability",
)
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
    values = {} if row is None else _row(row, ranking)
    return {name: values.get(name) for name in COSTS_OF_A_ROW}


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
        values = dict(zip(COLUMNS, _values(row, ranking), strict=True)) | {"placement": str(row.placement)}
        writer.writerow([str(value).lower() if isinstance(value, bool) else value for value in values.values()])
    return file.getvalue()


def _row(row: RankedPlacement, ranking: Ranking) -> dict[str, object]:
    return dict(zip(COLUMNS, _values(row, ranking), strict=True))


def _of_classes(ious: Mapping[str, float | None] | None) -> dict[str, object]:
    return {} if ious is None else {"iou_per_class": dict(ious)}


def _values(row: RankedPlacement, ranking: Ranking) -> tuple[object, ...]:
    """In the order of ``COLUMNS``; ratios of latencies are of what was timed together with the baseline."""
    iou, delta = row.iou_interval, row.delta_interval
    single, batched = ranking.latency_of(row), ranking.batch_latency_of(row)
    return (
        row.rank,
        row.placement.id,
        row.placement.to_dict(),
        row.iou_mean,
        iou and iou.low,
        iou and iou.high,
        row.iou_expected,
        row.gain,
        row.delta,
        delta and delta.low,
        delta and delta.high,
        row.tested,
        str(row.better_than_plain),
        row.n_seeds,
        row.n_collapsed,
        row.n_runs,
        row.cost.macs,
        row.cost.parameters,
        row.cost.latency_ms,
        single and single.ratio,
        batched and batched.ratio,
        row.on_front,
        row.control is not None,
        row.front_probability,
    )
