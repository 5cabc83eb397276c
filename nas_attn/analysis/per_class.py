"""The IoU of each class of a placement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from nas_attn.analysis.result import RankedPlacement, Ranking
from nas_attn.budget import Budget
from nas_attn.metric import Metric
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord

ClassIous = tuple[float | None, ...]
"""A fraction of 1 for each class, in the order of their indices; None for a class that no mask contains."""


def class_ious(records: Sequence[TrialRecord], row: RankedPlacement, budget: Budget | None) -> ClassIous:
    """The IoU of each class, mean over the seeds of a row of a ranking.

    Args:
        records: of the study.
        row: of its ranking.
        budget: of the runs that were ranked.
    """
    return mean_ious([one for one in records if one.budget == budget and one.seed in row.seeds], row.placement)


def paired_ious(
    records: Sequence[TrialRecord], row: RankedPlacement, ranking: Ranking
) -> tuple[ClassIous, ClassIous]:
    """The IoU of each class of a row and of the baseline, over their common seeds; empty without any.

    Args:
        records: of the study.
        row: of its ranking.
        ranking: of these records.
    """
    if ranking.plain is None:
        return (), ()
    chosen = [one for one in records if one.budget == ranking.budget and one.outcome is not None]
    plain_seeds = {one.seed for one in chosen if one.placement == ranking.plain.placement}
    shared = [one for one in chosen if one.seed in plain_seeds.intersection(row.seeds)]
    return mean_ious(shared, row.placement), mean_ious(shared, ranking.plain.placement)


def mean_ious(records: Sequence[TrialRecord], placement: Placement) -> ClassIous:
    """The IoU of each class, mean over all complete runs of a placement; empty if it has none."""
    scores = [one.outcome.score for one in records if one.placement == placement and one.outcome is not None]
    by_class = zip(*(score.iou_per_class for score in scores), strict=True)
    known = ([value for value in values if value is not None] for values in by_class)
    return tuple(fmean(values) if values else None for values in known)


def as_compared(ious: ClassIous, metric: Metric) -> ClassIous:
    """The IoU of each class, or its Dice if the study's metric is a Dice."""
    if not metric.dice:
        return ious
    return tuple(None if iou is None else 2 * iou / (1 + iou) for iou in ious)


def named_ious(ious: ClassIous, classes: Sequence[str]) -> dict[str, float | None]:
    """The IoU of each class by the name of the class, for JSON."""
    return dict(zip(classes, ious, strict=False))


def ranked_ious(
    records: Sequence[TrialRecord], ranking: Ranking, classes: Sequence[str]
) -> Mapping[str, Mapping[str, float | None]]:
    """The IoU of each class by the id of each placement of a ranking."""
    runs: dict[Placement, list[TrialRecord]] = defaultdict(list)
    for record in records:
        runs[record.placement].append(record)
    return {
        row.placement.id: named_ious(class_ious(runs[row.placement], row, ranking.budget), classes)
        for row in ranking.rows
    }
