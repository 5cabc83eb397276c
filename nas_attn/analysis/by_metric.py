"""Runs judged by another metric than the one that led the search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from nas_attn.errors import UsageError
from nas_attn.metric import MEAN_IOU, METRICS, Metric
from nas_attn.record import Outcome, TrialRecord


def metric_of(records: Iterable[TrialRecord]) -> Metric:
    """By which records are judged; mean IoU where none says."""
    scores = (record.outcome.score for record in records if record.outcome is not None)
    counts = next((score.counts for score in scores if score.counts is not None), None)
    return METRICS[MEAN_IOU] if counts is None else METRICS[counts.metric].of(counts.multi_label)


def judged_by(records: Sequence[TrialRecord], metric: str) -> list[TrialRecord]:
    """The same records with the value of a metric as their score, which rankings and intervals then rest on.

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
    lacking = [record.number for record in records if record.outcome and not _has(record.outcome, metric)]
    if lacking:
        raise UsageError(
            f"--metric {metric}: {len(lacking)} of {len(records)} trials have no {METRICS[metric].title}, trial "
            f"{lacking[0]} among them: the masks hold no class that it judges, or an older version ran the trial"
        )
    return [
        record if record.outcome is None else replace(record, outcome=_judged(record.outcome, metric))
        for record in records
    ]


def _has(outcome: Outcome, metric: str) -> bool:
    return outcome.score.metrics.get(metric) is not None and outcome.score.counts is not None


def _judged(outcome: Outcome, metric: str) -> Outcome:
    score = outcome.score
    value, counts = score.metrics[metric], score.counts
    if value is None or counts is None:
        return outcome
    return replace(outcome, score=replace(score, iou=value, counts=replace(counts, metric=metric)))
