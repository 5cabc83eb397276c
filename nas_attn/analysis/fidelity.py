"""Test whether short runs predict long ones: rank correlations between neighbouring rungs of successive
halving."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from nas_attn.analysis.additive import adjusted_mean, seed_effects, squares
from nas_attn.analysis.images import Array
from nas_attn.analysis.noise import residual_squares
from nas_attn.analysis.result import Interval
from nas_attn.analysis.runs import Cells, by_placement, cells_by_budget
from nas_attn.budget import Budget
from nas_attn.record import TrialRecord

LEAST_REPEATS = 3
"""Fewest degrees of freedom for which the noise of the longer runs is estimated."""
LEAST_PLACEMENTS = 4
"""Fewest placements for which a rank correlation has an interval."""
WORTHWHILE = 0.5
"""A correlation that is surely below this is useless: the best of the short runs is hardly the best of the long
ones."""


@dataclass(frozen=True)
class RungFidelity:
    """How well the order at one rung predicts the order at the next.

    Args:
        lower: the shorter budget.
        upper: the longer budget.
        n_placements: number of placements that were run at both with the same seeds.
        n_runs: number of pairs of runs.
        correlation: Spearman's, over the placements.
        interval: of the correlation; None for fewer than four placements.
        attainable: correlation that a perfect prediction would have with these runs of the longer budget, which
            are noisy; None if too few placements ran with several seeds to estimate it.
    """

    lower: Budget
    upper: Budget
    n_placements: int
    n_runs: int
    correlation: float
    interval: Interval | None
    attainable: float | None = None

    @property
    def predicts(self) -> bool | None:
        """Whether the short runs predict the long ones: the correlation is surely above 0.

        False if it may be 0 and is surely below ``WORTHWHILE``; None if there are too few placements to decide.
        """
        if self.interval is None:
            return None
        if self.interval.low > 0:
            return True
        return False if self.interval.high < WORTHWHILE else None


def ladder_fidelity(records: Iterable[TrialRecord], *, confidence: float = 0.95) -> tuple[RungFidelity, ...]:
    """The rank correlation between each rung of a study and the next longer one, shortest first.

    A rung is a budget at which at least three placements are complete, unless they were run only to show whether a
    budget is long enough. Two rungs are compared by the placements that ran at both with the same seed, at least
    three. A placement's score is its mean over these seeds, minus the effect of each seed on all placements.

    Only placements promoted by successive halving ran at the longer budget. They were similar at the shorter one,
    so their correlation is lower than it would be among all placements; its sign is the same.

    Args:
        records: of one study, in any order.
        confidence: of the intervals.
    """
    records = tuple(records)
    rungs = cells_by_budget(records)
    searched = {record.budget for record in records if record.placement.attended and not record.is_probe}
    rungs = {budget: cells for budget, cells in rungs.items() if budget in searched}
    ladder = sorted(budget for budget, cells in rungs.items() if len({placement for placement, _ in cells}) > 2)
    pairs = pairwise(ladder)
    compared = (_compare(lower, upper, rungs[lower], rungs[upper], confidence) for lower, upper in pairs)
    return tuple(fidelity for fidelity in compared if fidelity is not None)


def compared_rungs(
    records: Iterable[TrialRecord], lower: Budget, upper: Budget, *, confidence: float = 0.95
) -> RungFidelity | None:
    """The rank correlation between two budgets, whatever lies between them; None for fewer than three placements.

    Args:
        records: of one study, in any order.
        lower: the shorter budget.
        upper: the longer one.
        confidence: of the interval.
    """
    cells = cells_by_budget(records)
    return _compare(lower, upper, cells.get(lower, {}), cells.get(upper, {}), confidence)


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rank correlation; ties share their mean rank, and it is 0 if all values of a side are equal.

    Args:
        one: at least two values.
        other: the same number of values.
    """
    a, b = (_ranks(np.asarray(values, dtype=float)) for values in (one, other))
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale else 0.0


def spearman_interval(correlation: float, number: int, confidence: float) -> Interval | None:
    """The interval of a rank correlation by Fisher's z with the variance (1 + r^2 / 2) / (n - 3).

    (Bonett and Wright 2000, Psychometrika 65(1), doi:10.1007/BF02294183.) A perfect correlation, whose z is
    infinite, is lowered by half a swap of neighbours.

    Args:
        correlation: r.
        number: n, of the pairs; fewer than four give None.
        confidence: above 0 and below 1.
    """
    if number < LEAST_PLACEMENTS:
        return None
    most = 1.0 - 6.0 / (number * (number**2 - 1))
    z = math.atanh(min(max(correlation, -most), most))
    deviation = math.sqrt((1 + correlation**2 / 2) / (number - 3))
    half = NormalDist().inv_cdf((1 + confidence) / 2) * deviation
    return Interval(math.tanh(z - half), math.tanh(z + half))


def _compare(lower: Budget, upper: Budget, short: Cells, long: Cells, confidence: float) -> RungFidelity | None:
    shared = [cell for cell in short if cell in long]
    levels, upper_levels = (_levels({cell: cells[cell] for cell in shared}) for cells in (short, long))
    n_placements = len(levels)
    if n_placements < 3:
        return None
    correlation = spearman(levels, upper_levels)
    interval = spearman_interval(correlation, n_placements, confidence)
    most = _attainable(long, upper_levels, len(shared) / n_placements)
    return RungFidelity(lower, upper, n_placements, len(shared), correlation, interval, most)


def _attainable(cells: Cells, levels: Sequence[float], n_seeds: float) -> float | None:
    """Square root of the levels' reliability, the share of their variance that is not noise.

    (Spearman 1904, doi:10.2307/1412159.)

    Args:
        cells: all runs of the budget; their repeats determine the noise of one run.
        levels: of the placements.
        n_seeds: behind each level, on average.
    """
    residual = residual_squares([row for row in by_placement(cells).values() if len(row) > 1])
    variance = squares(levels) / (len(levels) - 1)
    if residual.degrees_of_freedom < LEAST_REPEATS or variance == 0:
        return None
    return math.sqrt(max(0.0, 1 - residual.total / residual.degrees_of_freedom / n_seeds / variance))


def _levels(cells: Cells) -> tuple[float, ...]:
    """Each placement's mean over its seeds, minus the seeds' effects."""
    rows = list(by_placement(cells).values())
    effects = seed_effects(rows, [len(scores) / (len(scores) + 1.0) for scores in rows])
    return tuple(adjusted_mean(scores, effects) for scores in rows)


def _ranks(values: Array) -> Array:
    """Ranks from 1, (n,) -> (n,); equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Array = (last - (counts - 1) / 2)[inverse]
    return ranks
