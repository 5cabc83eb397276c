"""How much of what scores show lies in attentions, pairs and placements, with or without what is known of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.linalg
import scipy.optimize

from nas_attn.analysis.effect_model import Variances, cholesky
from nas_attn.analysis.images import Array

PARTS = ("kind", "location", "pair", "rest", "by_seed", "noise")
GAIN_PARTS = ("kind", "location", "pair", "rest")
"""Those of what a placement gains under every seed."""
SCEPTICAL = Variances(kind=0.03, location=0.05, pair=0.03, rest=0.05, by_seed=0.1, noise=0.8)
"""The middle of the prior: attentions do little, until runs say otherwise. What is reported of the first of many
is not to be what a prior hoped for."""
_LOG_SDS = np.array([4.0, 4.0, 4.0, 1.5, 1.5, 4.0])
"""Of the prior. Single runs cannot tell a rest from noise, nor a single seed luck from effects."""
_WIDE_LOG_SDS = np.full(len(PARTS), 4.0)
"""Of the prior of what images give, of which each image tells anew."""
_MOST_LOG = 9.0
NOTHING = Variances(kind=0.0, location=0.0, pair=0.0, rest=0.0, by_seed=0.0, noise=0.0)


def gain_variances(kernels: Mapping[str, Array], scores: Array, by_images: Variances = NOTHING) -> Variances:
    """The variances that make the scores of n runs most likely, beside what the images gave them.

    Args:
        kernels: covariance of the scores by each part alone, each (n, n).
        scores: of the runs, (n,).
        by_images: variances of what the images gave the placements in all of their runs: known.
    """
    return _likeliest(kernels, scores[:, None], 1, by_images, _LOG_SDS)


def image_variances(kernels: Mapping[str, Array], influences: Array) -> Variances:
    """How much the images that happen to be in the set give to attentions, pairs and placements.

    What a placement gains on one image more than on the others varies from image to image, and each image shows it
    anew: with the influences times the root of their number G, the mean over the images varies from set to set as
    one of them does, and so they are G - 1 draws of what the whole set gave the placements, with the same parts
    as the scores (Efron and Stein 1981, doi:10.1214/aos/1176345462: the jackknife's variance).

    Args:
        kernels: covariance of the runs by each part alone, each (n, n).
        influences: of each group of images on each run, (n, G), G above 1.
    Returns:
        variances, of which those of a seed and of the noise are in the scores' own, too.
    """
    groups = influences.shape[1]
    centred = groups**0.5 * (influences - influences.mean(0))
    return _likeliest(kernels, centred, groups - 1, NOTHING, _WIDE_LOG_SDS)


def covariance_with(kernels: Mapping[str, Array], variances: Variances, by_images: Variances) -> Array:
    """Of the scores, with what the images gave the placements, (n, n)."""
    total: Array = kernels["level"].copy()
    for part in PARTS:
        more = getattr(by_images, part) if part in GAIN_PARTS else 0.0
        total += (getattr(variances, part) + more) * kernels[part]
    return total


def _likeliest(
    kernels: Mapping[str, Array], scores: Array, draws: int, known: Variances, log_sds: Array
) -> Variances:
    """The top of the posterior by the logarithms of the variances.

    Args:
        kernels: each (n, n).
        scores: (n, R), whose columns are together as good as so many draws.
        draws: how many.
        known: variances that come on top.
        log_sds: standard deviations of the prior of the logarithms, (6,).
    """
    centre = np.log([getattr(SCEPTICAL, part) for part in PARTS])

    def surprise(logs: Array) -> tuple[float, Array]:
        away = (logs - centre) / log_sds
        variances = Variances(**dict(zip(PARTS, np.exp(logs).tolist(), strict=True)))
        value, slope = _surprise(variances, kernels, scores, draws, known)
        return value + float(away @ away) / 2, slope + away / log_sds

    bounds = [(log - _MOST_LOG, log + _MOST_LOG) for log in centre]
    found = scipy.optimize.minimize(surprise, centre, jac=True, method="L-BFGS-B", bounds=bounds)
    return Variances(**dict(zip(PARTS, np.exp(found.x).tolist(), strict=True)))


def _surprise(
    variances: Variances, kernels: Mapping[str, Array], scores: Array, draws: int, known: Variances
) -> tuple[float, Array]:
    """Minus the logarithm of the likelihood, and its derivatives by the logarithms of the variances."""
    factor = cholesky(covariance_with(kernels, variances, known))
    inverse, _ = scipy.linalg.lapack.dpotri(factor, lower=True)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    explained = inverse @ scores
    left = draws * inverse - explained @ explained.T
    slope = [getattr(variances, part) * float((left * kernels[part]).sum()) / 2 for part in PARTS]
    value = float((scores * explained).sum()) / 2 + draws * float(np.log(np.diag(factor)).sum())
    return value, np.array(slope)
