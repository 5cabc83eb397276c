"""What the records say of each placement, its seeds taken together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_attn.placement import Placement
from nas_attn.record import State, TrialRecord


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

    A finalist has seeds that the others lack. Its plain mean would carry the luck of those seeds, and the seed
    is louder than the placement; so what a seed adds to every placement is estimated and taken off.
    """
    trials: dict[Placement, list[TrialRecord]] = {}
    for record in sorted(records, key=lambda record: record.number):
        trials.setdefault(record.placement, []).append(record)
    runs = {placement: _runs(found) for placement, found in trials.items()}
    luck = _luck(list(runs.values()))
    return tuple(
        Known(placement, _mean([iou - luck[seed] for seed, iou in runs[placement]]), found[0])
        for placement, found in trials.items()
    )


Run = tuple[int, float]
"""A seed and the IoU that it gave."""


def _runs(records: Sequence[TrialRecord]) -> list[Run]:
    return [
        (record.seed, record.outcome.score.iou)
        for record in records
        if record.state is State.COMPLETE and record.outcome is not None
    ]


def _luck(placements: Sequence[Sequence[Run]]) -> dict[int, float]:
    """What each seed adds to the IoU, by least squares of iou = placement + seed; 0 on average.

    Taking the mean of its placement off every equation removes the placements' unknowns. Seeds that share no
    placement with others cannot be compared: the solution of least norm leaves them alone.
    """
    seeds = sorted({seed for runs in placements for seed, _ in runs})
    equations = [_centred(runs, seeds) for runs in placements if len(runs) > 1]
    if not equations:
        return dict.fromkeys(seeds, 0.0)
    table = np.concatenate(equations)
    solution = np.linalg.lstsq(table[:, :-1], table[:, -1], rcond=None)[0]
    return dict(zip(seeds, solution.tolist(), strict=True))


def _centred(runs: Sequence[Run], seeds: Sequence[int]) -> NDArray[np.float64]:
    """One equation per run of a placement, their mean taken off: (runs, seeds + 1)."""
    table: NDArray[np.float64] = np.array(
        [[*(float(seed == known) for known in seeds), iou] for seed, iou in runs]
    )
    centred: NDArray[np.float64] = table - table.mean(axis=0)
    return centred


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
