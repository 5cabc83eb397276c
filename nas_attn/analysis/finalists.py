"""What finalists are judged by: runs that did not choose them, and luck with a seed that they share."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from itertools import pairwise
from statistics import fmean

from nas_attn.analysis.additive import SeedScores

LEAST_SEEDS = 2
"""With fewer paired seeds a placement was tried, not tested: nothing is claimed of it."""
RATIOS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
USUAL_RATIO = 0.35
"""Of the variance of what a seed does to all attentions alike to that of one run: 0.1 to 0.5 in tables of real
runs."""
_LEAST_ROWS = 2


def reported_scores(scores: SeedScores, final: Set[int], plain: SeedScores | None = None) -> dict[int, float]:
    """The scores from which a placement's mean, its difference to the plain U-Net and their intervals come.

    A placement becomes a finalist because its screening score was high, and that score was high in part by luck: a
    mean that includes it is too high (with 200 placements and seed noise of twice their spread the best screening
    score is 2.5 IoU points too high). So of a finalist only the runs of the finals are reported, whose seeds chose
    nothing. With fewer than two of these that the plain U-Net has, too, all scores are; so are all of what never
    was a finalist.

    Args:
        scores: seed to IoU of one placement, without collapsed runs.
        final: seeds of its runs as a finalist.
        plain: seed to IoU of the plain U-Net, likewise; None where it was not run.
    """
    fresh = {seed: score for seed, score in scores.items() if seed in final}
    paired = fresh if plain is None else fresh.keys() & plain.keys()
    return fresh if len(paired) >= LEAST_SEEDS else dict(scores)


def shared_ratio(table: Sequence[SeedScores], plain: SeedScores, variance: float) -> float:
    """Variance of what a seed adds to all placements with attention, but not to the plain U-Net, over a run's.

    A paired difference then has the variance (2 + ratio) times that of one run, not twice. Finalists share many of
    their attentions, and what these gain by luck with a seed they gain in all of them: their mean difference to
    the plain U-Net moves from seed to seed by more than the runs' own noise. A handful of seeds says little of
    that, so it is the posterior mean with an exponential prior around what tables of real runs show.

    Args:
        table: seed to IoU of the placements with attention that were run with several seeds.
        plain: seed to IoU of the plain U-Net.
        variance: of one run by itself.
    """
    moved = _common_moves(table, plain)
    if variance <= 0 or len(moved) < 2:
        return USUAL_RATIO
    n_rows = fmean(number for _, number in moved)
    centre = fmean(move for move, _ in moved)
    total = sum((move - centre) ** 2 for move, _ in moved) / variance
    logs = [_log_likelihood(total, len(moved) - 1, 1 + ratio + 1 / n_rows) for ratio in RATIOS]
    weights = [
        math.exp(log - max(logs) - ratio / USUAL_RATIO) * width
        for log, ratio, width in zip(logs, RATIOS, _widths(), strict=True)
    ]
    return sum(weight * ratio for weight, ratio in zip(weights, RATIOS, strict=True)) / sum(weights)


def _common_moves(table: Sequence[SeedScores], plain: SeedScores) -> list[tuple[float, int]]:
    """For each seed by how much all placements were better than usual beside the plain U-Net, and how many."""
    paired = [{seed: iou - plain[seed] for seed, iou in scores.items() if seed in plain} for scores in table]
    usual = [fmean(differences.values()) if differences else 0.0 for differences in paired]
    found = []
    for seed in sorted(plain):
        moves = [
            held[seed] - mean for held, mean in zip(paired, usual, strict=True) if seed in held and len(held) > 1
        ]
        if len(moves) >= _LEAST_ROWS:
            found.append((fmean(moves), len(moves)))
    return found


def _log_likelihood(total: float, freedom: int, expected: float) -> float:
    """Of a sum of squares that is ``expected`` times a chi-square."""
    return -freedom / 2 * math.log(expected) - total / (2 * expected)


def _widths() -> list[float]:
    """Of the share of the axis that each of ``RATIOS`` stands for."""
    edges = [RATIOS[0], *((low + high) / 2 for low, high in pairwise(RATIOS)), RATIOS[-1]]
    return [high - low for low, high in pairwise(edges)]
