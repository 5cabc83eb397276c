"""What each placement gains over the plain U-Net: one posterior of all runs, which orders, races and reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas_attn.placement import NONE, Placement
from nas_attn.ranking.additive import SeedScores
from nas_attn.ranking.effect_model import (
    LEVEL_VARIANCE,
    Codes,
    Runs,
    Variances,
    cholesky,
    covariance_of,
    gain_kernels,
    likeliest_variances,
    score_kernels,
    solve,
    within_groups,
)
from nas_attn.ranking.images import Array

MOST_RUNS = 1200
"""Of more runs those of placements with several and the earliest others are taken: work grows with their cube."""
_MOST_FOR_VARIANCES = 400
SCEPTICAL = Variances(kind=0.03, location=0.05, pair=0.03, rest=0.05, by_seed=0.1, noise=0.8)
"""The middle of the prior: attentions do little, until runs say otherwise. What is reported of the first of many
is not to be what a prior hoped for."""
_FAR = 5.0
_IQR_PER_SD = 1.349
_LEAST_SPREAD = 1e-5


@dataclass(frozen=True, eq=False)
class Gains:
    """The posterior of the gains of m placements.

    Args:
        level: IoU to expect of the plain U-Net over the seeds seen.
        mean: gain of each placement, in units of IoU, (m,); 0 for the plain U-Net.
        spread: by which the model's units are multiplied to get IoU.
        codes: of the placements, (m, L).
        variances: of the model's parts.
        known: what the runs say of each placement, (n, m): covariances with the scores, whitened.
    """

    level: float
    mean: Array
    spread: float
    codes: Codes
    variances: Variances
    known: Array

    def covariance(self, rows: Sequence[int]) -> Array:
        """Of the gains of some placements, (k, k)."""
        codes, known = self.codes[rows], self.known[:, rows]
        return self.spread**2 * (_gain_covariance(codes, codes, self.variances) - known.T @ known)

    def difference_sd(self, one: int, other: int) -> float:
        """Standard deviation of the difference between two gains."""
        covariance = self.covariance([one, other])
        return float(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) ** 0.5)


def gains_of(placements: Sequence[Placement], table: Sequence[SeedScores], image_variance: float = 0.0) -> Gains:
    """Learn from all runs what each placement gains.

    The model is that of ``effect_model.EffectModel``, with the variances that make the runs most likely: what its
    attentions and their pairs add in all placements, and a rest of the placement's own, which its own runs tell
    the better, the more of them there are. A placement with one run so stands where the others that share its
    attentions put it, and one with many where its own runs do. Runs far below the others of their seed count as
    five spreads below them.

    Args:
        placements: of each row; all of one network.
        table: of each row, seed to IoU; a row without scores is only predicted.
        image_variance: of what the images happen to give a placement in all of its runs: a rest that would be
            another one on other images, and so no gain.
    """
    codes = _codes(placements)
    held = _taken(table)
    if not held:
        return Gains(0.0, np.zeros(len(placements)), 0.0, codes, Variances(), np.zeros((0, len(placements))))
    rows = np.array([row for row, _, _ in held])
    ious = np.array([iou for _, _, iou in held])
    names = {seed: number for number, seed in enumerate(dict.fromkeys(seed for _, seed, _ in held))}
    seeds = np.array([names[seed] for _, seed, _ in held])
    middle, spread = float(np.median(ious)), _spread(ious, seeds)
    scores = _tamed((ious - middle) / spread, seeds)
    runs = Runs(codes[rows], seeds, scores, tuple(int(column.max()) + 1 for column in codes.T))
    return _posterior(runs, codes, middle, spread, image_variance / spread**2)


def _posterior(runs: Runs, codes: Codes, middle: float, spread: float, image_variance: float) -> Gains:
    kernels, first = score_kernels(runs), runs.first(_MOST_FOR_VARIANCES)
    n_first = len(first.scores)
    of_first = {name: kernel[:n_first, :n_first] for name, kernel in kernels.items()}
    variances, _ = likeliest_variances(of_first, first.scores, SCEPTICAL)
    factor = cholesky(covariance_of(kernels, variances))
    white = solve(factor, runs.scores)
    lasting = replace(variances, rest=max(0.0, variances.rest - image_variance))
    known = solve(factor, _gain_covariance(runs.codes, codes, lasting))
    level = middle + spread * _plain_level(runs, factor, white)
    return Gains(level, spread * (known.T @ white), spread, codes, lasting, known)


def _plain_level(runs: Runs, factor: Array, white: Array) -> float:
    """The level with the seeds' mean effect, by its covariance with the scores."""
    n_seeds = int(runs.seeds.max()) + 1
    across = np.full(len(runs.scores), LEVEL_VARIANCE * (1 + 1 / n_seeds))
    return float(solve(factor, across) @ white)


def _gain_covariance(codes: Codes, others: Codes, variances: Variances) -> Array:
    total = np.zeros((len(codes), len(others)))
    for name, kernel in gain_kernels(codes, others).items():
        total += getattr(variances, name) * kernel
    return total


def _codes(placements: Sequence[Placement]) -> Codes:
    """(m, L); 0 is ``none``."""
    specs = sorted({spec for placement in placements for _, spec in placement} - {NONE}, key=str)
    code_of = {NONE: 0, **{spec: code for code, spec in enumerate(specs, start=1)}}
    return np.array([[code_of[spec] for _, spec in placement] for placement in placements], dtype=np.int64)


def _taken(table: Sequence[SeedScores]) -> list[tuple[int, int, float]]:
    """(row, seed, IoU) of the runs to learn from: first those of placements with several, which tell the noise."""
    order = sorted(range(len(table)), key=lambda row: len(table[row]) < 2)
    return [(row, seed, iou) for row in order for seed, iou in table[row].items()][:MOST_RUNS]


def _spread(ious: Array, seeds: Codes) -> float:
    """Robust standard deviation within the seeds."""
    low, high = np.quantile(within_groups(ious, seeds), (0.25, 0.75))
    return max(float(high - low) / _IQR_PER_SD, _LEAST_SPREAD)


def _tamed(scores: Array, seeds: Codes) -> Array:
    """With scores far below the median of their seed raised to five below it."""
    left = within_groups(scores, seeds)
    return scores + (left.clip(min=-_FAR) - left)
