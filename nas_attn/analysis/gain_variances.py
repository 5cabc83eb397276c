"""How much of what scores show lies in attentions, pairs and placements, with or without what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nas_attn.analysis.effect_model import NOTHING, PARTS, Variances, likeliest_variances
from nas_attn.analysis.images import Array

SCEPTICAL = Variances(kind=0.03, location=0.05, pair=0.03, rest=0.05, by_seed=0.1, noise=0.8)
"""The middle of the prior: attentions do little, until runs say otherwise. What is reported of the first of many
is not to be what a prior hoped for."""
_WIDE_LOG_SDS = np.full(len(PARTS), 4.0)
"""Of the prior of what images give, of which each image tells anew."""


def gain_variances(kernels: Mapping[str, Array], scores: Array, by_images: Variances = NOTHING) -> Variances:
    """The variances that make the scores of n runs most likely, beside what the images gave them.

    Args:
        kernels: covariance of the scores by each part alone, each (n, n).
        scores: of the runs, (n,).
        by_images: variances of what the images gave the placements in all of their runs: known.
    """
    variances, _ = likeliest_variances(kernels, scores[:, None], usual=SCEPTICAL, known=by_images)
    return variances


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
        variances; none of a seed and of the noise, which the scores' own hold already.
    """
    groups = influences.shape[1]
    centred = groups**0.5 * (influences - influences.mean(0))
    found, _ = likeliest_variances(kernels, centred, usual=SCEPTICAL, log_sds=_WIDE_LOG_SDS, draws=groups - 1)
    return replace(found, by_seed=0.0, noise=0.0)
