"""What the records say of each placement, its seeds taken together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.strategy.seed_effects import luck, runs_by_placement


@dataclass(frozen=True)
class Known:
    """One placement that has been evaluated.

    Args:
        placement: the placement.
        iou: mean over its seeds, each seed's own luck taken off; None where no evaluation succeeded.
        first: the earliest of its records.
    """

    placement: Placement
    iou: float | None
    first: TrialRecord


def known_placements(records: Sequence[TrialRecord]) -> tuple[Known, ...]:
    """One entry per placement, in the order in which they were first tried.

    Placements are tried with different seeds, and the seed is louder than the placement; so what a seed adds to
    every placement is estimated and taken off.
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


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
