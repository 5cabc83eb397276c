"""The effect of a seed on the IoU of every placement, and placements and records without it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nas_attn.analysis import seed_effects
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import State, TrialRecord

RungRuns = dict[int, float]
"""Seed to IoU, for one placement."""


def runs_by_placement(records: Sequence[TrialRecord]) -> dict[Placement, RungRuns]:
    """Every placement's complete runs, in the order in which the placements were first tried."""
    found: dict[Placement, RungRuns] = {}
    for record in sorted(records, key=lambda record: record.number):
        runs = found.setdefault(record.placement, {})
        if record.state is State.COMPLETE and record.outcome is not None:
            runs[record.seed] = record.outcome.score.iou
    return found


def luck(table: Sequence[RungRuns]) -> Mapping[int, float]:
    """The effect of each seed on the IoU, by least squares of iou = placement + seed; 0 on average.

    Placements with one run count as random draws with the variance of a run, so their mean is informative about
    their seed. Placements with several runs were selected, so only their differences between seeds are used.

    Args:
        table: the runs of every placement at one budget.
    """
    effects = seed_effects(table, [0.5 if len(runs) == 1 else 1.0 for runs in table])
    usual = sum(effects.values()) / max(1, len(effects))
    return {seed: effect - usual for seed, effect in effects.items()}


@dataclass(frozen=True)
class Known:
    """A placement that has been evaluated.

    Args:
        placement: the placement.
        iou: mean over its seeds, without the effects of the seeds; None if no evaluation succeeded.
        first: the earliest of its records.
    """

    placement: Placement
    iou: float | None
    first: TrialRecord


def known_placements(records: Sequence[TrialRecord]) -> tuple[Known, ...]:
    """One entry per placement, in the order in which they were first tried.

    Placements are tried with different seeds, and the effect of the seed is larger than that of the placement. So
    the effect of each seed is estimated and subtracted.
    """
    first: dict[Placement, TrialRecord] = {}
    for record in sorted(records, key=lambda record: record.number):
        first.setdefault(record.placement, record)
    runs = runs_by_placement(records)
    added = luck(list(runs.values()))
    return tuple(
        Known(placement, _mean([iou - added[seed] for seed, iou in runs[placement].items()]), record)
        for placement, record in first.items()
    )


def freed(records: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The records without the effects of their seeds, which are estimated for each budget separately.

    Args:
        records: of any budgets.
    """
    by_budget: dict[Budget, list[TrialRecord]] = {}
    for record in records:
        by_budget.setdefault(record.budget, []).append(record)
    added = {budget: luck(list(runs_by_placement(held).values())) for budget, held in by_budget.items()}
    return tuple(_without(record, added[record.budget].get(record.seed, 0.0)) for record in records)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _without(record: TrialRecord, added: float) -> TrialRecord:
    if record.outcome is None or added == 0:
        return record
    score = replace(record.outcome.score, iou=record.outcome.score.iou - added)
    return replace(record, outcome=replace(record.outcome, score=score))
