"""How much a score changes with the seed, pooled over all placements that were run with several seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nas_attn.analysis.additive import SeedScores, connected_groups, seed_effects, squares
from nas_attn.analysis.variance_components import Squares, effective_degrees_of_freedom

LEAST_FREEDOM = 3
"""Degrees of freedom of its noise that an interval must rest on to be told."""


@dataclass(frozen=True)
class PooledSd:
    """A standard deviation with what it rests on.

    Args:
        sd: in units of IoU.
        degrees_of_freedom: need not be whole.
    """

    sd: float
    degrees_of_freedom: float

    @property
    def tells_intervals(self) -> bool:
        """It rests on enough for an interval (``Interval.around``)."""
        return self.degrees_of_freedom >= LEAST_FREEDOM


@dataclass(frozen=True)
class Noise:
    """The seed's part in scores and in paired differences.

    Args:
        pair: of the difference between two placements run with the same seed; None where no two placements
            share two seeds.
        run: of a single score, the effect that a seed has on all placements alike included; None where no
            placement has two seeds.
    """

    pair: PooledSd | None
    run: PooledSd | None


def pooled_noise(table: Sequence[SeedScores]) -> Noise:
    """The noise of paired differences and of single scores, assumed equal for all placements.

    A score is modelled as level of the placement + effect of the seed + independent noise of variance sigma^2
    (homoscedastic: the same for every placement; a few seeds each cannot tell otherwise). sigma^2 is the
    residual mean square of that fit, with n - placements - seeds + groups degrees of freedom; a paired
    difference has variance 2 sigma^2. Pooling the variances of the differences to the plain U-Net instead
    would count the noise of the plain U-Net's own runs once for each placement.

    A single score varies with the seed's effect too. Its variance is the mean square within placements; its
    degrees of freedom are few, since an effect that all placements share is seen only once
    (``variance_components.effective_degrees_of_freedom``).

    Args:
        table: seed to IoU for each placement; placements with one seed say nothing here.
    """
    rows = [scores for scores in table if len(scores) > 1]
    within = sum(squares(scores.values()) for scores in rows)
    within_df = sum(len(scores) - 1 for scores in rows)
    if within_df == 0:
        return Noise(None, None)
    residual, residual_df = residual_square(rows)
    shared, own = Squares(max(0.0, within - residual), within_df - residual_df), Squares(residual, residual_df)
    one_part = not shared.degrees_of_freedom or not own.degrees_of_freedom
    run_df = float(within_df) if one_part else effective_degrees_of_freedom(shared, own)
    return Noise(
        pair=PooledSd(math.sqrt(2 * residual / residual_df), residual_df) if residual_df else None,
        run=PooledSd(math.sqrt(within / within_df), run_df),
    )


def residual_square(rows: Sequence[SeedScores]) -> tuple[float, int]:
    """Residual sum of squares of the additive fit, and its degrees of freedom."""
    groups, seeds = len(connected_groups(rows)), {seed for scores in rows for seed in scores}
    return sum(row_squares(rows)), sum(map(len, rows)) - len(rows) - len(seeds) + groups


def row_squares(rows: Sequence[SeedScores]) -> list[float]:
    """Each placement's part in the residual sum of squares of the additive fit."""
    effects = seed_effects(rows, [1.0] * len(rows))
    return [squares(score - effects[seed] for seed, score in scores.items()) for scores in rows]
