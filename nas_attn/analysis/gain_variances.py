"""How much of what scores show lies in attentions, pairs, placements, seeds, short runs and images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from nas_attn.analysis.effect_model import (
    IMAGES,
    NOTHING,
    Kernels,
    Prior,
    Runs,
    Variances,
    likeliest_variances,
)
from nas_attn.analysis.images import Array

MOST_FOR_VARIANCES = 400
_LEAST_COUNTED = 3
"""Runs whose images must be counted, to tell what the images gave."""


@dataclass(frozen=True)
class GainVariances:
    """How much each part explains, for scores of variance 1.

    Args:
        by_runs: of all parts of the scores.
        by_images: what of these the images gave, which is no gain.
    """

    by_runs: Variances
    by_images: Variances

    @classmethod
    def of(cls, runs: Runs, influences: Mapping[int, Array], n_short: int, prior: Prior) -> GainVariances:
        """Those that make the first ``MOST_FOR_VARIANCES`` runs most likely; looked up where they are those of the
        last time.

        Args:
            runs: at least one.
            influences: of the images on some of the runs, in units of their scores.
            n_short: how many rungs there are below the top; the usual values of those that have no runs.
            prior: of the variances.
        """
        counted = tuple((run, held.tobytes()) for run, held in influences.items() if run < MOST_FOR_VARIANCES)
        return _likely(runs.first(MOST_FOR_VARIANCES), counted, n_short, prior)


@lru_cache(maxsize=8)
def _likely(runs: Runs, counted: tuple[tuple[int, bytes], ...], n_short: int, prior: Prior) -> GainVariances:
    kernels = Kernels.of(runs)
    by_images = _by_images(kernels, {run: np.frombuffer(held) for run, held in counted})
    by_runs = likeliest_variances(kernels, runs.scores[:, None], prior=prior, n_short=n_short, known=by_images)
    return GainVariances(by_runs, by_images)


def milestone(number: int) -> int:
    """The largest of 8, 12, 18, 27, ... that is not above a number."""
    found = 8
    while (following := found * 3 // 2) <= number:
        found = following
    return min(found, number)


def _by_images(kernels: Kernels, influences: Mapping[int, Array]) -> Variances:
    if len(influences) < _LEAST_COUNTED:
        return NOTHING
    return image_variances(kernels.some(list(influences)), np.stack(list(influences.values())))


def image_variances(kernels: Kernels, influences: Array) -> Variances:
    """How much the images that happen to be in the set give to attentions, pairs and placements.

    What a placement gains on one image more than on the others varies from image to image, and each image shows it
    anew: with the influences times the root of their number G, the mean over the images varies from set to set as
    one of them does, and so they are G - 1 draws of what the whole set gave the placements, with the same parts
    as the scores (Efron and Stein 1981, doi:10.1214/aos/1176345462: the jackknife's variance).

    Args:
        kernels: covariance of the runs by each part alone.
        influences: of each group of images on each run, (n, G), G above 1.
    Returns:
        variances; none of a seed and of the noise, which the scores' own hold already.
    """
    groups = influences.shape[1]
    centred = groups**0.5 * (influences - influences.mean(0))
    found = likeliest_variances(kernels, centred, prior=IMAGES, draws=groups - 1)
    return replace(found, by_seed=0.0, noise=0.0)
