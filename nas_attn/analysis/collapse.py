"""Collapsed runs: trainings that ended far below the score that their seed and placement predict."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.additive import SeedScores
from nas_attn.analysis.images import Array
from nas_attn.analysis.linear_algebra import on_one_core
from nas_attn.analysis.quantiles import two_sided_tail

FAR = 6.0
"""A collapsed run lies at least this many standard deviations below its expected score."""
LEAST_DROP = 0.02
"""A collapsed run also loses at least this much IoU, however little noise the other runs have."""
SEED_DROP = 0.1
"""A seed has collapsed if the plain U-Net lost this share of the IoU that it reaches with other seeds."""
_CHANCE = 1e-3
_MOST_SHARE = 0.25
_PRIOR_RUNS = 10
_LEAST_FOR_SEEDS = 3
_MANY = 30
"""Fewest runs from which the spread of the runs of a seed is estimated."""
_ROWS_AT_ONCE = 100
_NORMAL_PER_MEDIAN = 1.4826
_NO_FREEDOM = 1e-9
_LEAST_FREEDOM = 3  # of the other runs: fewer may agree by chance


@dataclass(frozen=True)
class Collapses:
    """The collapsed runs: they count for how often a training fails, not for the expected IoU.

    Args:
        runs: for each row, the seeds with which it collapsed although other placements did not.
        seeds: seeds with which the plain U-Net collapsed. A comparison under such a seed would compare failures,
            so it is ignored for all placements.
        n_runs: number of runs of each row with other seeds.
        losses: IoU that each row loses to its risk of collapsing, on average over runs, as far as it collapses
            more often than all placements together.
    """

    runs: tuple[frozenset[int], ...]
    seeds: frozenset[int]
    n_runs: tuple[int, ...]
    losses: tuple[float, ...]

    def clean(self, row: int, scores: SeedScores) -> dict[int, float]:
        """The scores of a row without its collapsed runs and without collapsed seeds.

        Args:
            row: number of the row.
            scores: seed to IoU.
        """
        return {seed: iou for seed, iou in scores.items() if seed not in self.runs[row] | self.seeds}


def find_collapses(table: Sequence[SeedScores], plain: int | None) -> Collapses:
    """Find collapsed runs by comparison with the other runs of their seed and the other seeds of their placement.

    1. Seeds with which the plain U-Net itself collapsed: it lost more than a tenth of its median over the seeds
       and more than six robust standard deviations of its scores. The next steps use the other seeds.
    2. If there are many runs: runs that lie as far below the others of their seed and below the best run of their
       placement. Placements with one seed help to estimate how far apart runs lie, when few placements have
       several.
    3. Among the remaining runs: the generalised extreme studentised deviate test (Rosner 1983,
       doi:10.1080/00401706.1983.10487848) of the residuals of score = placement + seed, downwards only. It removes
       the lowest run, refits, and continues for a quarter of all runs. The last step that lies beyond chance gives
       the number of collapsed runs. So several collapsed runs cannot hide each other by making the noise look
       large.

    Args:
        table: seed to IoU for each row; a row with one run cannot be judged.
        plain: the plain U-Net's row, which is judged like all others; None if it was not run.
    """
    seeds = frozenset() if plain is None else collapsed_seeds(table[plain])
    left = [{seed: iou for seed, iou in scores.items() if seed not in seeds} for scores in table]
    found: list[set[int]] = [set() for _ in table]
    judged = [row for row, scores in enumerate(left) if len(scores) > 1]
    for row, seed in _far_from_all(left, judged):
        found[row].add(seed)
    for start in range(0, len(judged), _ROWS_AT_ONCE):
        rows = judged[start : start + _ROWS_AT_ONCE]
        runs = [(row, seed, iou) for row in rows for seed, iou in left[row].items() if seed not in found[row]]
        for run in _far_below(runs):
            found[runs[run][0]].add(runs[run][1])
    return Collapses(tuple(map(frozenset, found)), seeds, tuple(map(len, left)), _losses(left, found, judged))


def _losses(
    table: Sequence[SeedScores], collapsed: Sequence[Set[int]], judged: Sequence[int]
) -> tuple[float, ...]:
    """Expected loss: risk by a beta prior of ten runs at the rate of all placements, times the mean drop of
    collapsed runs."""
    drops = [
        fmean(iou for other, iou in table[row].items() if other not in collapsed[row]) - table[row][seed]
        for row in judged
        for seed in collapsed[row]
    ]
    if not drops:
        return (0.0,) * len(table)
    usual = len(drops) / sum(len(table[row]) for row in judged)
    risks = [
        (len(seeds) + _PRIOR_RUNS * usual) / (len(scores) + _PRIOR_RUNS) - usual
        for scores, seeds in zip(table, collapsed, strict=True)
    ]
    drop = fmean(drops)
    return tuple(max(0.0, risk) * drop if seeds else 0.0 for risk, seeds in zip(risks, collapsed, strict=True))


def collapsed_seeds(plain: SeedScores) -> frozenset[int]:
    """Seeds with which the plain U-Net collapsed, by its own scores; none if it has fewer than three."""
    if len(plain) < _LEAST_FOR_SEEDS:
        return frozenset()
    middle = median(plain.values())
    least = middle - _far(middle, [abs(iou - middle) for iou in plain.values()])
    return frozenset(seed for seed, iou in plain.items() if iou < least)


def _far(middle: float, apart: Sequence[float]) -> float:
    """Distance below the others from which a run is far off: a tenth of their middle, or six robust standard
    deviations.

    The larger of the two counts.

    Args:
        middle: of the others.
        apart: distance of each from their middle.
    """
    return max(SEED_DROP * middle, FAR * _NORMAL_PER_MEDIAN * median(apart))


def _far_from_all(table: Sequence[SeedScores], judged: Sequence[int]) -> list[tuple[int, int]]:
    """Row and seed of runs far below both the others of their seed and the best run of their own row."""
    of_seeds: dict[int, list[float]] = defaultdict(list)
    for scores in table:
        for seed, iou in scores.items():
            of_seeds[seed].append(iou)
    if sum(map(len, of_seeds.values())) < _MANY:
        return []
    middles = {seed: median(ious) for seed, ious in of_seeds.items()}
    apart = [abs(iou - middles[seed]) for seed, ious in of_seeds.items() for iou in ious if len(ious) > 1]
    if not apart:
        return []
    far = _far(median(middles.values()), apart)
    return [
        (row, seed)
        for row in judged
        for seed, iou in table[row].items()
        if min(middles[seed], max(table[row].values())) - iou > far
    ]


@on_one_core
def _far_below(runs: Sequence[tuple[int, int, float]]) -> list[int]:
    """Numbers of the collapsed runs; each run is (row, seed, IoU)."""
    if not runs:
        return []
    design = _design(runs)
    hat = design @ np.linalg.pinv(design)
    scores = np.array([iou for _, _, iou in runs])
    freedom = len(runs) - round(float(np.trace(hat)))
    left, residuals = np.ones(len(runs), dtype=bool), scores - hat @ scores
    order: list[int] = []
    n_beyond = 0
    for _ in range(math.ceil(_MOST_SHARE * len(runs))):
        if freedom - len(order) <= _LEAST_FREEDOM or (lowest := _lowest(residuals, hat, left)) is None:
            break
        beyond = _is_beyond_chance(residuals, hat, left, lowest, freedom - len(order))
        residuals, hat = _without(residuals, hat, lowest)
        left[lowest] = False
        order.append(lowest)
        n_beyond = len(order) if beyond else n_beyond
    return order[:n_beyond]


def _design(runs: Sequence[tuple[int, int, float]]) -> Array:
    """A column for each row and each seed, (n, rows + seeds)."""
    rows, seeds = ({key: n for n, key in enumerate(dict.fromkeys(run[part] for run in runs))} for part in (0, 1))
    design = np.zeros((len(runs), len(rows) + len(seeds)))
    for number, (row, seed, _) in enumerate(runs):
        design[number, rows[row]] = design[number, len(rows) + seeds[seed]] = 1.0
    return design


def _lowest(residuals: Array, hat: Array, left: NDArray[np.bool_]) -> int | None:
    """The run with the lowest studentised residual; None where none has a residual."""
    free = 1.0 - np.diag(hat)
    studentised = np.full(len(residuals), np.inf)
    known = left & (free > _NO_FREEDOM)
    studentised[known] = residuals[known] / np.sqrt(free[known])
    lowest = int(studentised.argmin())
    return lowest if studentised[lowest] < 0 else None


def _is_beyond_chance(residuals: Array, hat: Array, left: NDArray[np.bool_], run: int, freedom: int) -> bool:
    """Whether a run lies farther below than chance would put the lowest of this many runs."""
    free = 1.0 - float(hat[run, run])
    drop = -float(residuals[run]) / free
    others = max(0.0, float((residuals[left] ** 2).sum()) - float(residuals[run]) ** 2 / free)
    if drop < LEAST_DROP:
        return False
    if others == 0.0:
        return True
    distance = drop * math.sqrt(free / (others / (freedom - 1)))
    return distance > FAR and two_sided_tail(distance, freedom - 1) / 2 * int(left.sum()) < _CHANCE


def _without(residuals: Array, hat: Array, run: int) -> tuple[Array, Array]:
    """Residuals and hat matrix of the fit without a run; the run's own entries are 0 from then on."""
    column, free = hat[:, run].copy(), 1.0 - float(hat[run, run])
    residuals = residuals + column * residuals[run] / free
    hat = hat + np.outer(column, column) / free
    residuals[run] = 0.0
    hat[run, :] = hat[:, run] = 0.0
    return residuals, hat
