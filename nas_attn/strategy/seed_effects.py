"""What a seed adds to the IoU of every placement, and records freed of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nas_attn.analysis import seed_effects
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import State, TrialRecord

RungRuns = dict[int, float]
"""Seed to IoU, of one placement."""


def runs_by_placement(records: Sequence[TrialRecord]) -> dict[Placement, RungRuns]:
    """Every placement's complete runs, in the order in which the placements were first tried."""
    found: dict[Placement, RungRuns] = {}
    for record in sorted(records, key=lambda record: record.number):
        runs = found.setdefault(record.placement, {})
        if record.state is State.COMPLETE and record.outcome is not None:
            runs[record.seed] = record.outcome.score.iou
    return found


def luck(table: Sequence[RungRuns]) -> Mapping[int, float]:
    """What each seed adds to the IoU, by least squares of iou = placement + seed; 0 on average.

    Placements with one run are taken for draws that vary among each other as much as a run does by chance: their
    mean tells of their seed. Those with several runs were chosen, so only their differences between seeds tell.

    Args:
        table: the runs of every placement at one budget.
    """
    effects = seed_effects(table, [0.5 if len(runs) == 1 else 1.0 for runs in table])
    usual = sum(effects.values()) / max(1, len(effects))
    return {seed: effect - usual for seed, effect in effects.items()}


def freed(records: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The records without what their seed has added, which each budget tells by itself.

    Args:
        records: of any budgets.
    """
    by_budget: dict[Budget, list[TrialRecord]] = {}
    for record in records:
        by_budget.setdefault(record.budget, []).append(record)
    added = {budget: luck(list(runs_by_placement(held).values())) for budget, held in by_budget.items()}
    return tuple(_without(record, added[record.budget].get(record.seed, 0.0)) for record in records)


def _without(record: TrialRecord, added: float) -> TrialRecord:
    if record.outcome is None or added == 0:
        return record
    score = replace(record.outcome.score, iou=record.outcome.score.iou - added)
    return replace(record, outcome=replace(record.outcome, score=score))
