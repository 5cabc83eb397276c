"""Costs of placements: in one unit, relative to the baseline, and where latency and MACs disagree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from nas_attn.analysis.result import RankedPlacement, Ranking, Versus, claimed_row
from nas_attn.latencies import Latency, LatencyTable
from nas_attn.record import Cost, TrialRecord

COSTS: Mapping[str, Callable[[Cost], float | None]] = {
    "macs": lambda cost: cost.macs,
    "parameters": lambda cost: cost.parameters,
    "latency": lambda cost: cost.latency_ms,
    "memory": lambda cost: cost.peak_memory_mib,
}
_APART = 0.1
"""Share of the baseline's cost by which latency and MACs, or two placements, must differ to be mentioned."""


def cost_of(row: RankedPlacement, cost: str) -> float | None:
    """The chosen cost of a row; None if it was not measured."""
    return COSTS[cost](row.cost)


def cost_ratio(row: RankedPlacement, ranking: Ranking, cost: str) -> float | None:
    """A cost of a row relative to the baseline's; None if one of the two is not known.

    Args:
        row: of the ranking.
        ranking: with the baseline.
        cost: ``macs``, ``parameters``, ``latency`` or ``memory``.
    """
    base = None if ranking.plain is None else cost_of(ranking.plain, cost)
    value = cost_of(row, cost)
    return None if value is None or not base else value / base


def timed_by(records: Sequence[TrialRecord], table: LatencyTable | None) -> Sequence[TrialRecord]:
    """The same records with latencies in the unit of a table.

    A trial measures its latency while other trials compute beside it. For a placement that the table lacks, this
    latency is divided by that of the baseline's own trials on the same device and multiplied by the baseline's
    latency in the table. So all latencies of a study have one unit. If the baseline had no trial on the device,
    the latency is unknown.

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


def as_good_for_less(row: RankedPlacement, ranking: Ranking, worth: float) -> RankedPlacement | None:
    """The cheapest placement that is as good as ``row`` within what matters; None if none is clearly cheaper.

    It must

    - be better than the baseline,
    - not be distinguishable from the first row of the ranking,
    - have an expected gain of at least that of ``row`` minus ``worth``,
    - be cheaper than ``row`` by at least a tenth of the baseline's cost. The cost is latency if both were timed
      together with the baseline, and otherwise the cost that the study weighs.

    Args:
        row: of the ranking.
        ranking: with the baseline.
        worth: smallest gain that matters, in units of IoU.
    """
    cost = compared_cost(row, ranking)
    own = _compared_ratio(row, ranking, cost)
    if own is None or row.gain is None:
        return None
    as_good = [
        (ratio, one.rank, one)
        for one in ranking.rows
        if one.better_than_baseline is Versus.BETTER and one.tied_with_best
        if one.gain is not None and one.gain >= row.gain - worth
        if (ratio := _compared_ratio(one, ranking, cost)) is not None and ratio <= own - _APART
    ]
    return min(as_good, default=(0.0, 0, None))[2]


def compared_cost(row: RankedPlacement, ranking: Ranking) -> str:
    """The cost by which others are cheaper than a row: latency if the row was timed, otherwise the study's
    cost."""
    return ranking.cost if ranking.latency_of(row) is None else "latency"


def _compared_ratio(row: RankedPlacement, ranking: Ranking, cost: str) -> float | None:
    if cost == "latency" and ranking.latencies is not None:
        timed = ranking.latency_of(row)
        return None if timed is None else timed.ratio
    return cost_ratio(row, ranking, cost)


@dataclass(frozen=True)
class Disagreement:
    """A placement whose MACs do not predict its latency.

    Args:
        row: the placement.
        latency: timed together with the baseline.
        macs_ratio: its MACs relative to the baseline's.
    """

    row: RankedPlacement
    latency: Latency
    macs_ratio: float

    @property
    def size(self) -> float:
        """Difference between the two ratios, in shares of the baseline's cost."""
        return abs(self.latency.ratio - self.macs_ratio)


def disagreements(ranking: Ranking) -> tuple[Disagreement, ...]:
    """Placements whose latency and MACs, both relative to the baseline, clearly disagree.

    The ratios differ by a tenth or more, and the MACs ratio lies outside the quartiles of the latency ratio. The
    claimed placement comes first, then the others by the size of the difference.

    Args:
        ranking: only placements that were timed together with the baseline are compared.
    """
    claimed = claimed_row(ranking)
    found = [one for row in ranking.rows if (one := _disagreement(row, ranking)) is not None]
    return tuple(sorted(found, key=lambda one: (one.row is not claimed, -one.size, one.row.rank)))


def _disagreement(row: RankedPlacement, ranking: Ranking) -> Disagreement | None:
    latency, macs = ranking.latency_of(row), cost_ratio(row, ranking, "macs")
    if latency is None or macs is None or latency.low <= macs <= latency.high:
        return None
    found = Disagreement(row, latency, macs)
    return found if found.size >= _APART else None
