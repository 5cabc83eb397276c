"""How far a mean may lie off when its noise has two parts, each known from a few squares only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nas_attn.analysis.images import Array
from nas_attn.analysis.student import two_sided_tail

_DRAWS = 20_000
_CONFIDENCE = 0.95
_BISECTIONS = 40
_MOST = 1e6


@dataclass(frozen=True)
class Squares:
    """A sum of squares.

    Args:
        total: in squared units of IoU.
        degrees_of_freedom: at least 1.
    """

    total: float
    degrees_of_freedom: int


def effective_degrees_of_freedom(shared: Squares, own: Squares) -> float:
    """Those with which Student's 95 % interval of a run's noise is the generalised confidence interval.

    A run's variance is that of an effect that its seed has on all placements alike, plus that of its own: s + e.
    Of the squares ``shared`` is (m s + e) V, with m placements for each degree of freedom, and ``own`` is e U; U
    and V follow chi-square. Solved for s and e, with U and V drawn, both squares give the distribution of s + e,
    and so the quantile of a normal deviation of that variance (Weerahandi 1993,
    doi:10.1080/01621459.1993.10476355).

    Satterthwaite's degrees of freedom take the squares for their expectations. Where two seeds happen to be alike,
    the shared part looks small and the degrees of freedom many: of two loud seeds' means such intervals cover 88 %
    instead of 95 %. The price is paid with few quiet seeds, whose intervals are wider than they had to be: that
    they are quiet is what few seeds cannot tell.

    Args:
        shared: between seeds.
        own: what is left within placements and seeds.
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
    """Sizes of standard normal deviations, and chi-squares of both degrees of freedom; always the same ones."""
    generator = np.random.default_rng(0)
    return (
        np.abs(generator.standard_normal(_DRAWS)),
        generator.chisquare(between, _DRAWS),
        generator.chisquare(within, _DRAWS),
    )


def _degrees_of_freedom(quantile: float) -> float:
    """Those of the t distribution with this two-sided 95 % quantile."""
    low, high = 0.5, _MOST
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        if two_sided_tail(quantile, middle) > 1 - _CONFIDENCE:
            low = middle
        else:
            high = middle
    return high
