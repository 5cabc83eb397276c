"""Quantiles of Student's t distribution, in plain Python: SciPy takes longer to import than a ranking to make."""

from __future__ import annotations

import math
from functools import lru_cache

_TINY = 1e-300
_BISECTIONS = 200
_FRACTION_STEPS = 500


@lru_cache(maxsize=256)
def two_sided_quantile(confidence: float, degrees_of_freedom: float) -> float:
    """The t with P(-t < T < t) = confidence.

    Args:
        confidence: above 0 and below 1.
        degrees_of_freedom: above 0; need not be whole (Satterthwaite's are not).
    """
    tail = 1.0 - confidence
    low, high = 0.0, 1.0
    while two_sided_tail(high, degrees_of_freedom) > tail:
        high *= 2.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if two_sided_tail(middle, degrees_of_freedom) > tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def two_sided_tail(t: float, degrees_of_freedom: float) -> float:
    """P(|T| > t) for t >= 0: the regularised incomplete beta function I_x(df / 2, 1 / 2) at
    x = df / (df + t^2) (Abramowitz and Stegun 26.7.1)."""
    square = t * t
    total = degrees_of_freedom + square
    if math.isinf(total):
        return 0.0
    return _regularised_beta(degrees_of_freedom / total, square / total, degrees_of_freedom / 2.0, 0.5)


def _regularised_beta(x: float, complement: float, a: float, b: float) -> float:
    """I_x(a, b), with ``complement`` = 1 - x given apart, so that neither end loses digits."""
    if x <= 0.0 or complement <= 0.0:
        return 0.0 if x <= 0.0 else 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(complement)
    front = math.exp(log_front)
    # The continued fraction converges fast only on this side of the mean; the symmetry gives the other.
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(complement, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method."""
    c = 1.0
    d = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _FRACTION_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
