"""Select the comparable runs of each placement from the records of a study, and the metric that judges them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from nas_attn.budget import Budget
from nas_attn.counts import ImageCounts
from nas_attn.errors import UsageError
from nas_attn.metric import MEAN_IOU, METRICS, Metric
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, Role, Score, State, TrialRecord

Cells = Mapping[tuple[Placement, int], float]
"""IoU by placement and seed."""


@dataclass(frozen=True)
class PlacementRuns:
    """One placement with its score under each of its seeds.

    Args:
        placement: the placement.
        scores: seed to IoU, at least one.
        counts: seed to the pixel counts of its images, if they were kept.
        final: seeds of its runs as a finalist, which played no part in any choice.
        cost: of the placement. Measured times are the median over its runs, measured memory is the maximum.
        reference: its name as a reference architecture; None for other placements.
    """

    placement: Placement
    scores: Mapping[int, float]
    counts: Mapping[int, ImageCounts]
    final: frozenset[int]
    cost: Cost
    reference: str | None

    @property
    def is_plain(self) -> bool:
        """Whether this is the plain U-Net."""
        return not self.placement.attended


@dataclass(frozen=True)
class LeftOut:
    """Trials of a study that its ranking does not use.

    Args:
        budget: of the trials that the ranking uses; None if there are none.
        n_failed: number of failed trials.
        n_of_other_budgets: number of complete trials at other budgets.
    """

    budget: Budget | None = None
    n_failed: int = 0
    n_of_other_budgets: int = 0


@dataclass(frozen=True)
class SelectedRuns:
    """The runs of a study that can be compared.

    Args:
        runs: one entry for each placement, in the order of their first trials.
        left_out: the other trials.
    """

    runs: tuple[PlacementRuns, ...]
    left_out: LeftOut

    @property
    def budget(self) -> Budget | None:
        """Budget that all runs share; None if there are no runs."""
        return self.left_out.budget


def select_runs(records: Iterable[TrialRecord]) -> SelectedRuns:
    """The complete runs of one budget, by placement.

    Scores of different budgets are never mixed. The budget is the largest at which both the plain U-Net and
    another placement were run, not counting runs that only show whether a budget is long enough. If there is
    none, those runs count, too. If that gives no budget either, it is the budget of the plain U-Net's first
    run, or without the plain U-Net the largest budget. A placement that was run twice with the same seed counts
    once, by its first trial.
    """
    ordered = sorted(records, key=lambda record: record.number)
    complete = [record for record in ordered if comparable_iou(record) is not None]
    n_failed = sum(record.state is State.FAILED for record in ordered)
    if not complete:
        return SelectedRuns((), LeftOut(n_failed=n_failed))
    budget = _budget(complete)
    kept = [record for record in complete if record.budget == budget]
    groups: dict[Placement, list[TrialRecord]] = {}
    for record in kept:
        groups.setdefault(record.placement, []).append(record)
    last = last_proposal(ordered)
    runs = tuple(_placement_runs(placement, group, last) for placement, group in groups.items())
    return SelectedRuns(runs, LeftOut(budget, n_failed, len(complete) - len(kept)))


def last_proposal(records: Iterable[TrialRecord]) -> int:
    """Number of the last proposed trial, after which the last finals come; -1 if there is none."""
    return max((record.number for record in records if record.role is Role.PROPOSAL), default=-1)


def comparable_iou(record: TrialRecord) -> float | None:
    """The score of a complete record; None if it has no score that can be compared."""
    if record.state is not State.COMPLETE or record.outcome is None:
        return None
    iou = record.outcome.score.iou
    return iou if math.isfinite(iou) else None


def cells_by_budget(records: Iterable[TrialRecord]) -> dict[Budget, dict[tuple[Placement, int], float]]:
    """IoU of the first comparable run of each placement and seed, by budget."""
    cells: dict[Budget, dict[tuple[Placement, int], float]] = {}
    for record in sorted(records, key=lambda record: record.number):
        if (iou := comparable_iou(record)) is not None:
            cells.setdefault(record.budget, {}).setdefault((record.placement, record.seed), iou)
    return cells


def by_placement(cells: Cells) -> dict[Placement, dict[int, float]]:
    """Seed to IoU for each placement, in the order of the cells."""
    rows: dict[Placement, dict[int, float]] = {}
    for (placement, seed), iou in cells.items():
        rows.setdefault(placement, {})[seed] = iou
    return rows


def metric_of(records: Iterable[TrialRecord]) -> Metric:
    """The metric that judges the records; mean IoU if no record names one."""
    scores = (record.outcome.score for record in records if record.outcome is not None)
    counts = next((score.counts for score in scores if score.counts is not None), None)
    return METRICS[MEAN_IOU] if counts is None else METRICS[counts.metric].of(counts.multi_label)


def judged_by(records: Sequence[TrialRecord], metric: str) -> list[TrialRecord]:
    """The same records, with the value of another metric as their score.

    Args:
        records: of one study.
        metric: name of one of ``METRICS``.
    Raises:
        UsageError: a complete run did not keep this metric, or has no value of it.
    """
    known = metric_of(records)
    metric = METRICS[metric].of(known.multi_label).name
    if metric == known.name:
        return list(records)
    judged = [_judged(record, metric) for record in records]
    lacking = [record.number for record, found in zip(records, judged, strict=True) if found is None]
    if lacking:
        raise UsageError(
            f"--metric {metric}: {len(lacking)} of {len(records)} trials have no {METRICS[metric].title}, trial "
            f"{lacking[0]} among them: their masks contain none of the classes that it averages, or an older "
            "version ran the trial"
        )
    return [found for found in judged if found is not None]


def _budget(complete: Sequence[TrialRecord]) -> Budget:
    with_plain = [record.budget for record in complete if not record.placement.attended]
    attended = [record for record in complete if record.placement.attended]
    compared = {record.budget for record in attended}
    for budgets in ({record.budget for record in attended if not record.is_probe}, compared):
        if both := budgets.intersection(with_plain):
            return max(both)
    return with_plain[0] if with_plain else max(compared)


def _placement_runs(placement: Placement, records: Sequence[TrialRecord], last_proposal: int) -> PlacementRuns:
    """The runs of one placement.

    Only the last finals count as such: the earlier ones influenced who is in the last ones.
    """
    first: dict[int, Score] = {}
    finals: dict[int, int] = {}
    for record in records:
        if record.outcome is not None and record.seed not in first:
            first[record.seed] = record.outcome.score
            if record.role is Role.FINALIST:
                finals[record.seed] = record.number
    final = frozenset(seed for seed, number in finals.items() if number > last_proposal) or frozenset(finals)
    scores = {seed: score.iou for seed, score in first.items()}
    counts = {seed: score.counts for seed, score in first.items() if score.counts is not None}
    reference = next((record.reference for record in records if record.reference is not None), None)
    cost = _cost([record.outcome.cost for record in records if record.outcome])
    return PlacementRuns(placement, scores, counts, final, cost, reference)


def _cost(costs: Sequence[Cost]) -> Cost:
    """One cost for several measurements of the same network, on the device where most of them were made."""
    devices = [cost.device for cost in costs]
    device = max(devices, key=devices.count)
    here = [cost for cost in costs if cost.device == device]
    latencies = [cost.latency_ms for cost in here if cost.latency_ms is not None]
    memories = [cost.peak_memory_mib for cost in here if cost.peak_memory_mib is not None]
    return Cost(
        parameters=costs[0].parameters,
        macs=costs[0].macs,
        latency_ms=median(latencies) if latencies else None,
        peak_memory_mib=max(memories) if memories else None,
        device=device,
    )


def _judged(record: TrialRecord, metric: str) -> TrialRecord | None:
    """The record with the value of a metric as its score; None if a complete run has no such value."""
    if record.outcome is None:
        return record
    score = record.outcome.score
    value, counts = score.metrics.get(metric), score.counts
    if value is None or counts is None:
        return None
    score = replace(score, iou=value, counts=replace(counts, metric=metric))
    return replace(record, outcome=replace(record.outcome, score=score))
