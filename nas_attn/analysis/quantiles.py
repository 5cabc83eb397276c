"""Quantiles of a single interval (Student's) and of simultaneous intervals (Dunnett's).

SciPy is imported only when a quantile is computed.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from nas_attn.analysis.images import Array

_NODES = 64
_MOST_DEVIATIONS = 8.0
_BISECTIONS = 40


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


@lru_cache(maxsize=256)
def simultaneous_quantile(confidence: float, degrees_of_freedom: float, number: int, correlation: float) -> float:
    """The t with P(all of |T_1|, ..., |T_m| < t) = confidence: Dunnett's two-sided quantile.

    All T share one estimate of the noise and have the same correlation r, since they are differences to the same
    control (Dunnett 1955, doi:10.1080/01621459.1955.10501294, here with the normal part and the scale integrated
    numerically)::

        P(|T_i| < t for all i) = E over s, z of [ Phi((t s - sqrt(r) z) / sqrt(1 - r))
                                                  - Phi((-t s - sqrt(r) z) / sqrt(1 - r)) ]^m

    For m = 1 it is Student's.

    Args:
        confidence: above 0 and below 1.
        degrees_of_freedom: of the noise, above 0.
        number: m, of comparisons, at least 1.
        correlation: r, at least 0 and below 1; 1/2 if control and treatments are equally noisy.
    """
    if number == 1:
        return two_sided_quantile(confidence, degrees_of_freedom)
    low = two_sided_quantile(confidence, degrees_of_freedom)
    high = two_sided_quantile(1 - (1 - confidence) / number, degrees_of_freedom)  # Bonferroni's
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _together(middle, degrees_of_freedom, number, correlation) < confidence:
            low = middle
        else:
            high = middle
    return high


def _together(t: float, degrees_of_freedom: float, number: int, correlation: float) -> float:
    from scipy.special import ndtr

    scales, scale_weights = _scales(degrees_of_freedom)
    nodes, weights = _normal_nodes()
    shift, rest = math.sqrt(correlation) * nodes, math.sqrt(1 - correlation)
    reach = t * scales[:, None]
    inside = ndtr((reach - shift) / rest) - ndtr((-reach - shift) / rest)
    return float(scale_weights @ (inside**number) @ weights)


@lru_cache(maxsize=64)
def _scales(degrees_of_freedom: float) -> tuple[Array, Array]:
    """Nodes and weights of s = sqrt(chi-square / df), by its quantiles at the midpoints of equal shares."""
    from scipy.special import chdtri

    shares, weights = np.polynomial.legendre.leggauss(_NODES)
    shares, weights = (shares + 1) / 2, weights / 2
    scales: Array = np.sqrt(chdtri(degrees_of_freedom, 1 - shares) / degrees_of_freedom)
    return scales, weights


@lru_cache(maxsize=1)
def _normal_nodes() -> tuple[Array, Array]:
    """Nodes and weights of a standard normal deviation."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    nodes = nodes * _MOST_DEVIATIONS
    density = np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    return nodes, weights * _MOST_DEVIATIONS * density
