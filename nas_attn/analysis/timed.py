"""Runs with latencies that can be compared: those of placements that were timed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from nas_attn.latencies import LatencyTable
from nas_attn.record import Cost, TrialRecord


def timed_by(records: Sequence[TrialRecord], table: LatencyTable | None) -> Sequence[TrialRecord]:
    """The same records with the latencies of a table.

    A trial times its own network while others compute beside it. Of a placement that the table lacks, this
    latency is put into relation to that of the baseline's own trials on the same device, and told in multiples of
    the table's: so all latencies of a study have one unit. Where the baseline had no trial there, none is known.

    Args:
        records: of one study.
        table: of its placements; None leaves the records as they are.
    """
    if table is None:
        return records
    plain = _plain_latencies(records)
    return [_timed(record, table, plain) for record in records]


def _plain_latencies(records: Sequence[TrialRecord]) -> dict[str, float]:
    """Median latency of the baseline's trials by device."""
    found: dict[str, list[float]] = {}
    for record in records:
        if record.outcome is not None and not record.placement.attended:
            cost = record.outcome.cost
            if cost.latency_ms is not None:
                found.setdefault(cost.device, []).append(cost.latency_ms)
    return {device: median(latencies) for device, latencies in found.items()}


def _timed(record: TrialRecord, table: LatencyTable, plain: Mapping[str, float]) -> TrialRecord:
    if record.outcome is None:
        return record
    latency_ms = _latency_ms(record, record.outcome.cost, table, plain)
    cost = replace(record.outcome.cost, latency_ms=latency_ms)
    return replace(record, outcome=replace(record.outcome, cost=cost))


def _latency_ms(record: TrialRecord, cost: Cost, table: LatencyTable, plain: Mapping[str, float]) -> float | None:
    if (found := table.of(record.placement)) is not None:
        return found.ms
    base = table.of(record.placement.plain)
    if base is None or cost.latency_ms is None or cost.device not in plain:
        return None
    return base.ms * cost.latency_ms / plain[cost.device]
