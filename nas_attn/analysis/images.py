"""Dependence of a score on the images that happen to be in the set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nas_attn.counts import ImageCounts
from nas_attn.metric import METRICS

Array = NDArray[np.float64]

Influences = Mapping[int, Array]
"""Seed to the influence of each group of images on the metric, (G,)."""


@lru_cache(maxsize=8192)
def influence(counts: ImageCounts) -> Array:
    """Contribution of each group of images to the metric of a run beyond its share, (G,), summing to 0.

    If group g is drawn w_g times instead of once, the mean IoU is, to first order in w - 1,

        iou(w) = iou + sum over g of (w_g - 1) * mean over k of (I_gk - iou_k U_gk) / sum over h of U_hk

    (the infinitesimal jackknife: Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, ch. 6).
    The mean is over the classes that occur in the whole set: a draw that misses a rare class does not change
    which classes count. Dice is the same ratio of other pixels, 2 I over I + U. A metric per image is the ratio
    of the sum over images to their number.
    """
    above, below = _ratios(counts)
    whole = below.sum(0)
    added: Array = ((above - above.sum(0) / whole * below) / whole).mean(1)
    added.flags.writeable = False
    return added


def _ratios(counts: ImageCounts) -> tuple[Array, Array]:
    """Numerators and denominators whose ratios the metric averages over columns, each (G, columns)."""
    metric = METRICS[counts.metric]
    if metric.per_image:
        sums, numbers = counts.unpack_per_image(metric.name)
        return sums.astype(np.float64)[:, None], numbers.astype(np.float64)[:, None]
    intersections, unions = counts.unpack()
    judged = (unions.sum(0) > 0) & (np.arange(counts.classes) >= (metric.foreground and not counts.multi_label))
    both, either = intersections[:, judged].astype(np.float64), unions[:, judged].astype(np.float64)
    return (2 * both, both + either) if metric.dice else (both, either)


def groups_of_rarest_class(counts: ImageCounts) -> int:
    """Number of groups of images with pixels of the rarest class, labelled or predicted.

    The rarest class is the one that occurs in the fewest groups.
    """
    _, unions = counts.unpack()
    occurring = (unions > 0).sum(0)
    return int(occurring[occurring > 0].min(initial=len(unions)))


def influences(placements: Sequence[Mapping[int, ImageCounts]]) -> tuple[Influences, ...]:
    """Influences of the images on each placement's runs, by seed.

    Runs can be compared image by image only if they were judged on the same groups of images. Runs with a
    single group, or with another number of groups than most runs, are left out.
    """
    numbers = Counter(held.groups for counts in placements for held in counts.values())
    usual = max(numbers, key=lambda groups: (numbers[groups], groups), default=1)
    return tuple(
        {seed: influence(held) for seed, held in counts.items() if held.groups == usual > 1}
        for counts in placements
    )


def paired_influences(one: Influences, other: Influences, seeds: Iterable[int]) -> list[Array]:
    """Influences of the images on the difference of two runs, for each seed with which both were counted."""
    return [one[seed] - other[seed] for seed in seeds if seed in one and seed in other]


@dataclass(frozen=True)
class ImagePart:
    """The images' contribution to the variance of a mean over seeds.

    Args:
        variance: of the mean over these very runs, over draws of the same number of images.
        repeated: share of the variance that is specific to each run, so that the scatter between seeds includes
            it, too.
        groups: G.
    """

    variance: float
    repeated: float
    groups: int


def image_part(runs: Sequence[Array], n_seeds: int, repeated: float) -> ImagePart | None:
    """The bootstrap over images in closed form: the limit of infinitely many draws with replacement.

    Args:
        runs: influences for each run, or the differences of influences for each pair of runs, each (G,).
        n_seeds: number of seeds with runs, at least one.
        repeated: ``pooled_repeated`` for one run.
    Returns:
        None if the images of a run were not counted.
    """
    if len(runs) < n_seeds:
        return None
    groups = len(runs[0])
    mean = np.mean(runs, axis=0)
    return ImagePart(groups / (groups - 1) * float(mean @ mean), repeated / len(runs), groups)


def pooled_repeated(placements: Iterable[Sequence[Array]]) -> float:
    """Variance over images that is specific to one run, so that two runs of a placement do not share it.

    Args:
        placements: for each, the influences of its runs; placements with one run are ignored.
    Returns:
        0 if no placement has two runs.
    """
    total, degrees_of_freedom = 0.0, 0
    for runs in placements:
        if len(runs) > 1:
            apart = np.asarray(runs) - np.mean(runs, axis=0)
            groups = apart.shape[1]
            total += groups / (groups - 1) * float((apart**2).sum())
            degrees_of_freedom += len(runs) - 1
    return total / degrees_of_freedom if degrees_of_freedom else 0.0
