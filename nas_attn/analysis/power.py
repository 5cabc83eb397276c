"""Gain that a number of seeds can show, and number of seeds that a gain takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from nas_attn.analysis.quantiles import two_sided_quantile

POWER = 0.8
"""A gain can be shown if the interval lies above 0 in this share of all repetitions."""
MOST_SEEDS = 10_000
"""Largest number of seeds that is considered."""
_POINTS = 400
_REACH = 8.0
_BISECTIONS = 40


def power(ratio: float, degrees_of_freedom: float, confidence: float) -> float:
    """Probability that the interval of a difference lies wholly above 0.

    With T noncentral t of f degrees of freedom and t Student's quantile, that is

        P(T > t) = E[Phi(ratio - t S)], S = sqrt(chi-square of f / f)

    (Johnson, Kotz, Balakrishnan 1995, Continuous Univariate Distributions 2, ch. 31), integrated over S.

    Args:
        ratio: true difference over its standard error.
        degrees_of_freedom: of the error, at least 1; need not be whole.
        confidence: of the two-sided interval.
    """
    return power_beyond(two_sided_quantile(confidence, degrees_of_freedom), ratio, degrees_of_freedom)


def power_beyond(quantile: float, ratio: float, degrees_of_freedom: float) -> float:
    """The power with any quantile in place of Student's.

    Args:
        quantile: half the interval's width in standard errors.
        ratio: true difference over its standard error.
        degrees_of_freedom: of the error.
    """
    return sum(weight * _normal(ratio - quantile * scale) for scale, weight in _scales(degrees_of_freedom))


@lru_cache(maxsize=256)
def ratio_shown(degrees_of_freedom: float, confidence: float) -> float:
    """Number of standard errors that a difference must have to be shown with a power of 80 %.

    Args:
        degrees_of_freedom: of the error, at least 1.
        confidence: of the two-sided interval.
    """
    low, high = 0.0, 1.0
    while power(high, degrees_of_freedom, confidence) < POWER:
        high *= 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, degrees_of_freedom, confidence) < POWER else (low, middle)
    return high


def seeds_needed(gain: float, error: Callable[[int], tuple[float, float]], confidence: float) -> int | None:
    """The fewest seeds that show a gain with a power of 80 %; None if 10,000 are not enough.

    Args:
        gain: true difference, above 0, in units of IoU.
        error: standard error and its degrees of freedom for a number of seeds.
        confidence: of the two-sided interval.
    """

    def enough(n_seeds: int) -> bool:
        sd, degrees_of_freedom = error(n_seeds)
        return sd == 0 or power(gain / sd, degrees_of_freedom, confidence) >= POWER

    return fewest(enough, MOST_SEEDS)


def fewest(enough: Callable[[int], bool], most: int) -> int | None:
    """The smallest number above 1 that is enough, by bisection; None if even ``most`` is not.

    Args:
        enough: whether a number is enough; if one is, all larger ones must be, too.
        most: the largest number.
    """
    if not enough(most):
        return None
    low, high = 1, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


@lru_cache(maxsize=64)
def _scales(degrees_of_freedom: float) -> tuple[tuple[float, float], ...]:
    """Values of S with their probabilities, by the midpoint rule."""
    reach = _REACH / math.sqrt(2 * degrees_of_freedom)
    low = max(0.0, 1 - reach)
    step = (1 + reach - low) / _POINTS
    values = [low + (number + 0.5) * step for number in range(_POINTS)]
    logs = [(degrees_of_freedom - 1) * math.log(s) - degrees_of_freedom * s * s / 2 for s in values]
    weights = [math.exp(log - max(logs)) for log in logs]
    total = sum(weights)
    return tuple((s, weight / total) for s, weight in zip(values, weights, strict=True))


def _normal(value: float) -> float:
    return math.erfc(-value / math.sqrt(2)) / 2
