"""Quantiles and tails of Student's t distribution; SciPy is imported where one is asked for."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=256)
def two_sided_quantile(confidence: float, degrees_of_freedom: float) -> float:
    """The t with P(-t < T < t) = confidence.

    Args:
        confidence: above 0 and below 1.
        degrees_of_freedom: above 0; need not be whole (Satterthwaite's are not).
    """
    from scipy.special import stdtrit

    return -float(stdtrit(degrees_of_freedom, (1 - confidence) / 2))


def two_sided_tail(t: float, degrees_of_freedom: float) -> float:
    """P(|T| > t) for t >= 0."""
    from scipy.special import stdtr

    return 2 * float(stdtr(degrees_of_freedom, -t))
