"""Noise between seeds: pooled over all placements with several seeds, and of placements that stand out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nas_attn.analysis.additive import SeedScores, connected_groups, seed_effects, squares
from nas_attn.analysis.images import Array
from nas_attn.analysis.quantiles import two_sided_tail

LEAST_FREEDOM = 3
"""Fewest degrees of freedom of the noise for which an interval is reported."""
_FAR = 6.0
"""An unstable placement scatters more than this many times as much as all others together."""
_LEAST_OF_OTHERS = 10
"""Fewest degrees of freedom of the other placements; fewer cannot show that a placement is far off."""
_DRAWS = 20_000
_CONFIDENCE = 0.95
_BISECTIONS = 40
_MOST = 1e6


@dataclass(frozen=True)
class PooledSd:
    """A standard deviation and its degrees of freedom.

    Args:
        sd: in units of IoU.
        degrees_of_freedom: need not be whole.
    """

    sd: float
    degrees_of_freedom: float

    @property
    def tells_intervals(self) -> bool:
        """Whether the degrees of freedom suffice for an interval (``Interval.around``)."""
        return self.degrees_of_freedom >= LEAST_FREEDOM


@dataclass(frozen=True)
class Noise:
    """Noise between seeds in scores and in paired differences.

    Args:
        pair: of the difference between two placements run with the same seed; None if no two placements share two
            seeds.
        run: of a single score, including the effect that a seed has on all placements alike; None if no
            placement has two seeds.
    """

    pair: PooledSd | None
    run: PooledSd | None


@dataclass(frozen=True)
class Squares:
    """A sum of squares.

    Args:
        total: in squared units of IoU.
        degrees_of_freedom: of it.
    """

    total: float
    degrees_of_freedom: int


def pooled_noise(table: Sequence[SeedScores]) -> Noise:
    """The noise of paired differences and of single scores, assumed equal for all placements.

    The model of a score is level of the placement + effect of the seed + independent noise of variance sigma^2.
    The noise is homoscedastic, the same for every placement, because a few seeds for each cannot show otherwise.
    sigma^2 is the residual mean square of that fit, with n - placements - seeds + groups degrees of freedom. A
    paired difference has variance 2 sigma^2. Pooling the variances of the differences to the plain U-Net instead
    would count the noise of the plain U-Net's own runs once for each placement.

    A single score also varies with the seed's effect. Its variance is the mean square within placements. It has
    few degrees of freedom, because an effect that all placements share is seen only once
    (``effective_degrees_of_freedom``).

    Args:
        table: seed to IoU for each placement; placements with one seed are ignored.
    """
    rows = [scores for scores in table if len(scores) > 1]
    within, within_df = sum(squares(scores.values()) for scores in rows), sum(len(scores) - 1 for scores in rows)
    if within_df == 0:
        return Noise(None, None)
    own = residual_squares(rows)
    own_df = own.degrees_of_freedom
    shared = Squares(max(0.0, within - own.total), within_df - own_df)
    one_part = not shared.degrees_of_freedom or not own_df
    run_df = float(within_df) if one_part else effective_degrees_of_freedom(shared, own)
    return Noise(
        pair=PooledSd(math.sqrt(2 * own.total / own_df), own_df) if own_df else None,
        run=PooledSd(math.sqrt(within / within_df), run_df),
    )


def own_noise(reported: SeedScores, plain: SeedScores | None, pooled: Noise) -> Noise:
    """The noise of one placement by itself, never below the pooled noise.

    Args:
        reported: seed to IoU of the placement.
        plain: seed to IoU of the plain U-Net; None if it was not run.
        pooled: of all stable placements.
    """
    differences = [] if plain is None else [reported[seed] - plain[seed] for seed in reported if seed in plain]
    return Noise(pair=_wider(differences, pooled.pair), run=_wider(list(reported.values()), pooled.run))


def _wider(values: Sequence[float], pooled: PooledSd | None) -> PooledSd | None:
    if len(values) < 2:
        return pooled
    own = PooledSd((squares(values) / (len(values) - 1)) ** 0.5, len(values) - 1)
    return own if pooled is None or own.sd > pooled.sd else pooled


def unstable_rows(table: Sequence[SeedScores]) -> frozenset[int]:
    """Row numbers of placements with a run far from the score that placement and seed predict.

    A training that collapses under one seed of many scores tens of points lower. Pooled with the others it would
    widen every interval of the ranking, although it concerns only its own placement. So the placement that
    scatters most is compared with all others together. If it scatters more than six times as much (an F test of
    two variances), it is set apart, and the comparison is repeated without it. With fewer than ten degrees of
    freedom in the others, no placement is set apart.

    Args:
        table: seed to IoU for each placement; placements with one seed are ignored.
    """
    left = {number: scores for number, scores in enumerate(table) if len(scores) > 1}
    apart: set[int] = set()
    while len(left) > 1:
        scatter = dict(zip(left, _row_squares(list(left.values())), strict=True))
        worst = max(scatter, key=lambda number: scatter[number] / (len(left[number]) - 1))
        others = {number: scores for number, scores in left.items() if number != worst}
        residual = residual_squares(list(others.values()))
        if residual.degrees_of_freedom < _LEAST_OF_OTHERS:
            break
        if _scatter_beside(left[worst], others) <= _FAR**2 * residual.total / residual.degrees_of_freedom:
            break
        apart.add(worst)
        left = others
    return frozenset(apart)


def _scatter_beside(scores: SeedScores, others: Mapping[int, SeedScores]) -> float:
    """Mean residual square of a placement, given the seed effects of the others."""
    effects = seed_effects(list(others.values()), [1.0] * len(others))
    known = [score - effects[seed] for seed, score in scores.items() if seed in effects]
    return squares(known) / (len(known) - 1) if len(known) > 1 else 0.0


def residual_squares(rows: Sequence[SeedScores]) -> Squares:
    """Residual sum of squares of the additive fit."""
    groups, seeds = len(connected_groups(rows)), {seed for scores in rows for seed in scores}
    return Squares(sum(_row_squares(rows)), sum(map(len, rows)) - len(rows) - len(seeds) + groups)


def _row_squares(rows: Sequence[SeedScores]) -> list[float]:
    """Each placement's share of the residual sum of squares of the additive fit."""
    effects = seed_effects(rows, [1.0] * len(rows))
    return [squares(score - effects[seed] for seed, score in scores.items()) for scores in rows]


def effective_degrees_of_freedom(shared: Squares, own: Squares) -> float:
    """Degrees of freedom for which Student's 95 % interval of a run's noise equals the generalised confidence
    interval.

    A run's variance is s + e: s from the effect that its seed has on all placements alike, e from its own noise.
    The sum of squares ``shared`` is (m s + e) V, with m placements for each degree of freedom, and ``own`` is e U;
    U and V follow chi-square. Solving for s and e with drawn U and V gives the distribution of s + e, and so the
    quantile of a normal deviation of that variance (Weerahandi 1993, doi:10.1080/01621459.1993.10476355).

    Satterthwaite's degrees of freedom replace the squares by their expectations. If two seeds happen to be alike,
    the shared part looks small and the degrees of freedom look many: for the means of two noisy seeds such
    intervals cover 88 % instead of 95 %. The price of this method is wider intervals than necessary for a few
    seeds with little noise, because few seeds cannot show that their noise is small.

    Args:
        shared: between seeds.
        own: residual within placements and seeds.
    """
    total = shared.total + own.total
    if total <= 0:
        return float(shared.degrees_of_freedom + own.degrees_of_freedom)
    deviation, between, within = _draws(shared.degrees_of_freedom, own.degrees_of_freedom)
    number = shared.degrees_of_freedom + own.degrees_of_freedom
    alone = own.total / within
    effect = np.maximum(0.0, shared.total / between - alone) * shared.degrees_of_freedom / number
    reach = float(np.quantile(deviation * np.sqrt(effect + alone), _CONFIDENCE))
    return _degrees_of_freedom(reach / (total / number) ** 0.5)


@lru_cache(maxsize=8)
def _draws(between: int, within: int) -> tuple[Array, Array, Array]:
    """Absolute standard normal draws, and chi-square draws for both degrees of freedom; the same at every call."""
    generator = np.random.default_rng(0)
    return (
        np.abs(generator.standard_normal(_DRAWS)),
        generator.chisquare(between, _DRAWS),
        generator.chisquare(within, _DRAWS),
    )


def _degrees_of_freedom(quantile: float) -> float:
    """Degrees of freedom of the t distribution with this two-sided 95 % quantile."""
    low, high = 0.5, _MOST
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        if two_sided_tail(quantile, middle) > 1 - _CONFIDENCE:
            low = middle
        else:
            high = middle
    return high
