"""Placements of which a run fell far out of the noise: judged by their own scatter, and said to be unstable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas_attn.analysis.additive import SeedScores, seed_effects, squares
from nas_attn.analysis.noise import Noise, PooledSd, residual_square, row_squares

FAR = 6.0
"""How many times as much as all others together a placement has to scatter."""
LEAST_DEGREES_OF_FREEDOM = 10


def unstable_rows(table: Sequence[SeedScores]) -> frozenset[int]:
    """Row numbers of placements with a run that lies far from what placement and seed make expected.

    A training that collapses under one seed of many lies tens of points below. Pooled with the others it would
    widen every interval of the ranking, although it says something about its own placement only. So the
    placement that scatters most is compared with all others together, set apart where it scatters more than six
    times as much (an F test of two variances), and the search begins anew without it. Fewer than ten degrees of
    freedom in the others say too little to call anything far.

    Args:
        table: seed to IoU for each placement; those with one seed say nothing here.
    """
    left = {number: scores for number, scores in enumerate(table) if len(scores) > 1}
    apart: set[int] = set()
    while len(left) > 1:
        scatter = dict(zip(left, row_squares(list(left.values())), strict=True))
        worst = max(scatter, key=lambda number: scatter[number] / (len(left[number]) - 1))
        others = {number: scores for number, scores in left.items() if number != worst}
        residual, degrees_of_freedom = residual_square(list(others.values()))
        if degrees_of_freedom < LEAST_DEGREES_OF_FREEDOM:
            break
        if _scatter_beside(left[worst], others) <= FAR**2 * residual / degrees_of_freedom:
            break
        apart.add(worst)
        left = others
    return frozenset(apart)


def own_noise(reported: SeedScores, plain: SeedScores | None, pooled: Noise) -> Noise:
    """The noise of one placement by itself, never below the pooled one.

    Args:
        reported: seed to IoU of the placement.
        plain: seed to IoU of the plain U-Net; None where it was not run.
        pooled: of all stable placements.
    """
    differences = [] if plain is None else [reported[seed] - plain[seed] for seed in reported if seed in plain]
    return Noise(pair=_wider(differences, pooled.pair), run=_wider(list(reported.values()), pooled.run))


def _scatter_beside(scores: SeedScores, others: Mapping[int, SeedScores]) -> float:
    """Mean residual square of a placement, by the seeds' effects as the others have them."""
    effects = seed_effects(list(others.values()), [1.0] * len(others))
    known = [score - effects[seed] for seed, score in scores.items() if seed in effects]
    return squares(known) / (len(known) - 1) if len(known) > 1 else 0.0


def _wider(values: Sequence[float], pooled: PooledSd | None) -> PooledSd | None:
    if len(values) < 2:
        return pooled
    own = PooledSd((squares(values) / (len(values) - 1)) ** 0.5, len(values) - 1)
    return own if pooled is None or own.sd > pooled.sd else pooled
