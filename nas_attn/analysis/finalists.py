"""Judge finalists: by runs that did not choose them, and with the luck with a seed that they share."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from itertools import pairwise
from statistics import fmean

from nas_attn.analysis.additive import SeedScores

LEAST_SEEDS = 2
"""Fewest paired seeds of a tested placement. With fewer it was only tried, and nothing is claimed about it."""
RATIOS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
USUAL_RATIO = 0.35
"""Usual ratio of the variance of a seed's effect on all attentions alike to the variance of one run: 0.1 to 0.5
in tables of real runs."""
_LEAST_ROWS = 2


def reported_scores(scores: SeedScores, final: Set[int], plain: SeedScores | None = None) -> dict[int, float]:
    """The scores behind a placement's mean, its difference to the plain U-Net and their intervals.

    A placement becomes a finalist because its screening score was high, in part by luck. A mean that includes this
    score is too high: with 200 placements and seed noise of twice their spread, the best screening score is 2.5
    IoU points too high. So for a finalist only the runs of the finals are reported, whose seeds chose nothing. All
    scores are reported if the placement never was a finalist, or if it shares fewer than two seeds of its finals
    with the plain U-Net.

    Args:
        scores: seed to IoU of one placement, without collapsed runs.
        final: seeds of its runs as a finalist.
        plain: seed to IoU of the plain U-Net, without collapsed runs; None if it was not run.
    """
    fresh = {seed: score for seed, score in scores.items() if seed in final}
    paired = fresh if plain is None else fresh.keys() & plain.keys()
    return fresh if len(paired) >= LEAST_SEEDS else dict(scores)


def shared_ratio(table: Sequence[SeedScores], plain: SeedScores, variance: float) -> float:
    """Variance of a seed's effect on all placements with attention but not on the plain U-Net, relative to a
    run's.

    A paired difference has (2 + ratio) times the variance of one run instead of twice. The reason is that
    finalists share many of their attentions, and the luck of an attention with a seed appears in all of them. So
    their mean difference to the plain U-Net varies from seed to seed by more than the runs' own noise. A handful
    of seeds says little about this ratio, so it is the posterior mean with an exponential prior whose mean comes
    from tables of real runs.

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
    """For each seed, how much more than usual all placements gained over the plain U-Net, and their number."""
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
    """Log likelihood of a sum of squares that is ``expected`` times a chi-square."""
    return -freedom / 2 * math.log(expected) - total / (2 * expected)


def _widths() -> list[float]:
    """Width of the interval of ratios that each of ``RATIOS`` represents."""
    edges = [RATIOS[0], *((low + high) / 2 for low, high in pairwise(RATIOS)), RATIOS[-1]]
    return [high - low for low, high in pairwise(edges)]
