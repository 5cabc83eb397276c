"""The budget at which the plain U-Net has converged, found by doubling it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from nas_attn.analysis.convergence import LEAST_GAIN
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Role, TrialRecord
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.reference_architectures import PLAIN

SEEDS = 2
MOST_DOUBLINGS = 7
"""Where 128 times the first budget still gains, that is taken."""
MOST_NOISE = 0.02
"""IoU; where two seeds differ by more, some runs have not yet found the task."""


def probe(plain: Placement, first: Budget, seed: int, number: int) -> Evaluation:
    """The evaluation of a number, from 0: two seeds of each budget, then twice its steps.

    Args:
        plain: the plain U-Net.
        first: the budget with which the doubling begins.
        seed: of the study.
        number: of the evaluation.
    """
    budget = replace(first, steps=first.steps * 2 ** (number // SEEDS))
    return Evaluation(plain, budget, seed + number % SEEDS, Role.CONTROL, PLAIN)


def needs_all(number: int) -> bool:
    """Whether all earlier evaluations have to be finished before that of a number begins."""
    return number % SEEDS == 0


def converged_budget(first: Budget, records: Sequence[TrialRecord]) -> tuple[Budget, int] | None:
    """The shortest budget of which the double brings nothing, and how many evaluations it took to find it.

    Nothing is at most one IoU point in the mean over the seeds, where these agree; where they do not, at most one
    point twice in a row.

    Args:
        first: the budget with which the doubling began.
        records: the probes' trials, in their order, finished; others may follow.
    Returns:
        None where more evaluations are needed.
    """
    means: list[float] = []
    noises: list[float] = []
    for doubling in range(min(len(records) // SEEDS, MOST_DOUBLINGS + 1)):
        ious = _ious(records[SEEDS * doubling : SEEDS * (doubling + 1)])
        means.append(statistics.fmean(ious) if ious else 0.0)
        noises.append(statistics.stdev(ious) if len(ious) > 1 else 0.0)
        gains = [after - before for before, after in pairwise(means)]
        settled = bool(gains) and gains[-1] <= LEAST_GAIN and max(noises[-2:]) <= MOST_NOISE
        if settled or (len(gains) > 1 and max(gains[-2:]) <= LEAST_GAIN):
            shorter = doubling - 1 if settled else doubling - 2
            return replace(first, steps=first.steps * 2**shorter), SEEDS * (doubling + 1)
    if len(means) > MOST_DOUBLINGS:
        return replace(first, steps=first.steps * 2**MOST_DOUBLINGS), SEEDS * len(means)
    return None


def _ious(records: Sequence[TrialRecord]) -> list[float]:
    return [record.outcome.score.iou for record in records if record.outcome is not None]
