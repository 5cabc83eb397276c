"""Maximum a posteriori variances of attentions, pairs, placements, seeds, short runs and images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
import scipy.linalg
import scipy.optimize

from nas_attn.analysis.effect_model import (
    IMAGES,
    NOTHING,
    PARTS,
    SHOWN,
    Kernels,
    Prior,
    Runs,
    Short,
    Variances,
    covariance_of,
)
from nas_attn.analysis.images import Array
from nas_attn.analysis.linear_algebra import cholesky

MOST_FOR_VARIANCES = 400
WIDE_LOG_SD = 4.0
_MOST_LOG, _MOST_SDS = 16.0, 6.0
"""Largest distance of the logarithm of a variance from its usual value: absolute, and in standard deviations of
its prior."""
_ELSEWHERE = math.exp(2)
"""Smallest factor by which the second climb starts away from the usual variances; the variance of the scores,
if larger."""
_POWERS = {**dict.fromkeys(PARTS, 1.0), "by_seed": -1.0, "noise": -1.0}
"""Power of that factor by which the variance of each part is multiplied."""
_FLAT = 1e-7
"""The climb ends if a step reduces the negative log density by less than this share."""
_Part = tuple[int, str]
"""A rung, 0 for the top, and the name of one of its values."""
_LEAST_COUNTED = 3
"""Fewest runs with counted images for estimating the images' contribution."""


@dataclass(frozen=True)
class GainVariances:
    """How much each part explains, for scores of variance 1.

    Args:
        by_runs: of all parts of the scores.
        by_images: the share of these that comes from the images, which is not a gain.
    """

    by_runs: Variances
    by_images: Variances

    @classmethod
    def of(cls, runs: Runs, influences: Mapping[int, Array], n_short: int, prior: Prior) -> GainVariances:
        """Variances that make the first ``MOST_FOR_VARIANCES`` runs most likely; cached for unchanged runs.

        Args:
            runs: at least one.
            influences: of the images on some of the runs, in units of their scores.
            n_short: number of rungs below the top; rungs without runs get the usual values.
            prior: of the variances.
        """
        counted = tuple((run, held.tobytes()) for run, held in influences.items() if run < MOST_FOR_VARIANCES)
        return _likely(runs.first(MOST_FOR_VARIANCES), counted, n_short, prior)


def likeliest_variances(
    kernels: Kernels,
    scores: Array,
    *,
    prior: Prior,
    n_short: int = 0,
    draws: int = 1,
    known: Variances = NOTHING,
) -> Variances:
    """Variances that make the scores most likely, together with their prior.

    The marginal likelihood is climbed by its gradient in the logarithms of all variances at once. Parts can
    explain the same scores, so changing one variance after another would end far from the maximum. There may be
    two maxima, above all if a few runs lie far from all others. A climb from the usual variances ends on the one
    that explains all of that by noise. So a second climb starts where attentions explain it, and where the
    variance of the part common to all placements equals that of all scores.

    Args:
        kernels: of the scores.
        scores: (n, R); the columns together count as ``draws`` draws.
        prior: of the variances.
        n_short: number of rungs below the top.
        draws: number of draws.
        known: variances to add.
    """
    usual = replace(prior.middle, short=(Short(),) * n_short)
    parts: list[_Part] = [(0, name) for name in PARTS]
    parts += [(rung, field.name) for rung in range(1, n_short + 1) for field in fields(Short)]
    centre = np.log([_value(usual, part) for part in parts])

    def surprise(logs: Array) -> tuple[float, Array]:
        tried = _with(usual, parts, np.exp(logs).tolist())
        value, slope = _surprise_and_slope(tried, parts, kernels, scores, draws, known)
        by_prior, slope_by_prior = _surprise_by_prior(logs - centre, parts, prior)
        return value + by_prior, slope + slope_by_prior

    reach = np.minimum(_MOST_LOG, _MOST_SDS * _log_sds(parts, prior))
    bounds = list(zip(centre - reach, centre + reach, strict=True))
    elsewhere = math.log(max(float(scores.var(0).sum()) / draws, _ELSEWHERE))
    starts = [centre, centre + elsewhere * np.array([_POWERS.get(name, 0.0) for _, name in parts])]
    starts[1][parts.index((0, "common"))] = elsewhere
    tops: list[tuple[float, list[float]]] = []
    for start in starts:
        with suppress(np.linalg.LinAlgError):  # a step to variances too far apart for floating point
            climb = scipy.optimize.minimize(
                surprise, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": _FLAT}
            )
            tops.append((float(climb.fun), np.exp(climb.x).tolist()))
    return _with(usual, parts, min(tops)[1]) if tops else usual


def milestone(number: int) -> int:
    """The largest of 8, 12, 18, 27, ... that is at most ``number``; below 8 the number itself."""
    found = 8
    while (following := found * 3 // 2) <= number:
        found = following
    return min(found, number)


@lru_cache(maxsize=8)
def _likely(runs: Runs, counted: tuple[tuple[int, bytes], ...], n_short: int, prior: Prior) -> GainVariances:
    kernels = Kernels.of(runs)
    by_images = _by_images(kernels, {run: np.frombuffer(held) for run, held in counted})
    by_runs = likeliest_variances(kernels, runs.scores[:, None], prior=prior, n_short=n_short, known=by_images)
    return GainVariances(by_runs, by_images)


def _by_images(kernels: Kernels, influences: Mapping[int, Array]) -> Variances:
    """Contribution of the images that happen to be in the set to the variances of attentions, pairs and
    placements.

    The gain of a placement varies from image to image. Let G be the number of groups of images. The influences
    times sqrt(G) vary as the mean over the images varies from set to set. So they are G - 1 draws of the
    contribution of the whole set to the placements, with the same parts as the scores (the jackknife's variance:
    Efron and Stein 1981, doi:10.1214/aos/1176345462).

    Args:
        kernels: covariance of all runs by each part alone.
        influences: of each group of images on some runs, (G,), G above 1.
    Returns:
        variances; 0 for seeds and noise, because the variances of the scores already include these.
    """
    if len(influences) < _LEAST_COUNTED:
        return NOTHING
    shown = np.stack(list(influences.values()))
    groups = shown.shape[1]
    centred = groups**0.5 * (shown - shown.mean(0))
    found = likeliest_variances(kernels.some(list(influences)), centred, prior=IMAGES, draws=groups - 1)
    return replace(found, by_seed=0.0, noise=0.0)


def _log_sds(parts: Sequence[_Part], prior: Prior) -> Array:
    return np.array([prior.log_sds.get(name, WIDE_LOG_SD) for _, name in parts])


def _surprise_by_prior(away: Array, parts: Sequence[_Part], prior: Prior) -> tuple[float, Array]:
    """Negative log density of the prior, and its derivatives.

    Args:
        away: distance of the logarithm of each part from its middle.
        parts: the parts.
        prior: of their variances.
    """
    beside_noise, noise = np.array([name in prior.beside_noise for _, name in parts]), parts.index((0, "noise"))
    sds = _log_sds(parts, prior)
    scaled = (away - beside_noise * away[noise]) / sds
    slope = scaled / sds
    slope[noise] -= slope[beside_noise].sum()
    return float(scaled @ scaled) / 2, slope


def _value(variances: Variances, part: _Part) -> float:
    rung, name = part
    value: float = getattr(variances.short[rung - 1] if rung else variances, name)
    return value


def _with(usual: Variances, parts: Sequence[_Part], values: Sequence[float]) -> Variances:
    """The usual variances with other values of the parts."""
    by_rung: list[dict[str, float]] = [{} for _ in range(len(usual.short) + 1)]
    for (rung, name), value in zip(parts, values, strict=True):
        by_rung[rung][name] = value
    return replace(usual, **by_rung[0], short=tuple(Short(**values) for values in by_rung[1:]))


def _surprise_and_slope(
    variances: Variances, parts: Sequence[_Part], kernels: Kernels, scores: Array, draws: int, known: Variances
) -> tuple[float, Array]:
    """Negative log likelihood, and its derivatives by the logarithms of the parts."""
    factor = cholesky(covariance_of(kernels, variances, known))
    inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=True)
    inverse += np.tril(inverse, -1).T
    explained = inverse @ scores
    left = draws * inverse - explained @ explained.T
    gains = variances.gains(kernels.rungs)
    at_the_top = left * np.outer(gains, gains) if variances.short else left
    by_part = dict(zip(SHOWN, kernels.parts.reshape(len(SHOWN), -1) @ at_the_top.ravel(), strict=True))
    by_run = (left * kernels.shown(variances, known)).sum(1) if variances.short else np.zeros(len(left))

    def slope(part: _Part) -> float:
        rung, name = part
        if name in by_part:
            return _value(variances, part) * float(by_part[name]) / 2
        here = kernels.rungs == rung
        if name == "gain":  # of both runs of each pair
            return float(by_run[here].sum())
        if name == "noise":
            return _value(variances, part) * float(np.diag(left)[here].sum()) / 2
        if rung not in kernels.by_rung:
            return 0.0
        pairs, shared = kernels.by_rung[rung]
        return _value(variances, part) * float((left[pairs] * shared).sum()) / 2

    value = float((scores * explained).sum()) / 2 + draws * float(np.log(np.diag(factor)).sum())
    return value, np.array([slope(part) for part in parts])
