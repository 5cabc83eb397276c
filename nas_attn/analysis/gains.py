"""What each placement gains over the plain U-Net: one posterior of all runs, which orders, races and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nas_attn.analysis.additive import SeedScores
from nas_attn.analysis.attainable import Learned
from nas_attn.analysis.effect_model import (
    LEVEL_VARIANCE,
    NOTHING,
    Choice,
    Codes,
    Runs,
    Variances,
    cholesky,
    covariance_of,
    gain_kernels,
    score_kernels,
    solve,
    within_groups,
)
from nas_attn.analysis.gain_variances import gain_variances, image_variances
from nas_attn.analysis.images import Array, Influences
from nas_attn.analysis.own_effects import NO_EFFECTS, OwnEffects
from nas_attn.models.placement import NONE, Placement

MOST_RUNS = 1200
"""Of more runs those of placements with several and the earliest others are taken: work grows with their cube."""
_MOST_FOR_VARIANCES = 400
_LEAST_COUNTED = 3
"""Runs whose images must be counted, to tell what the images gave."""
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
        variances: of the model's parts but the own effects of attentions at their locations.
        known: what the runs say of these parts of each placement, (n, m): covariances with the scores, whitened.
        reach: how each gain hangs on the own effects, (m, p), given the runs.
        own: these effects.
        learned: what the runs say of all placements; None without runs.
    """

    level: float
    mean: Array
    spread: float
    codes: Codes
    variances: Variances
    known: Array
    reach: Array
    own: OwnEffects
    learned: Learned | None = None

    def covariance(self, rows: Sequence[int]) -> Array:
        """Of the gains of some placements, (k, k)."""
        reach = self.reach[rows]
        return self.rest_covariance(rows) + self.spread**2 * (reach @ self.own.covariance @ reach.T)

    def rest_covariance(self, rows: Sequence[int]) -> Array:
        """Of the gains of some placements without the own effects of their attentions, (k, k)."""
        codes, known = self.codes[rows], self.known[:, rows]
        return self.spread**2 * (_gain_covariance(codes, codes, self.variances) - known.T @ known)

    def own_draws(self, rows: Sequence[int], number: int) -> Array:
        """What own effects add to the gains of some placements beyond the mean, drawn, (number, k).

        Few effects are large and others next to nothing, so that these sums are not normal. The draws are the same
        at every call.
        """
        drawn = self.own.drawn(number, np.random.default_rng(3)) - self.own.mean
        return self.spread * (drawn @ self.reach[rows].T)

    def best_gains(self) -> Array:
        """Draws of the gain of the best placement that could be made of the attentions tried, in units of IoU; one
        draw of infinity where nothing is known."""
        return np.array([np.inf]) if self.learned is None else self.spread * self.learned.best_gains()

    def difference_sd(self, one: int, other: int) -> float:
        """Standard deviation of the difference between two gains."""
        covariance = self.covariance([one, other])
        return float(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) ** 0.5)


def gains_of(
    placements: Sequence[Placement], table: Sequence[SeedScores], influences: Sequence[Influences] = ()
) -> Gains:
    """Learn from all runs what each placement gains.

    The model is that of ``effect_model.EffectModel``, with the variances that make the runs most likely: what its
    attentions and their pairs add in all placements, and a rest of the placement's own, which its own runs tell
    the better, the more of them there are. A placement with one run so stands where the others that share its
    attentions put it, and one with many where its own runs do. Runs far below the others of their seed count as
    five spreads below them.

    Args:
        placements: of each row; all of one network.
        table: of each row, seed to IoU; a row without scores is only predicted.
        influences: of each row's runs, by seed, those of the images; may be left out. What the images happen to
            give attentions, pairs and placements would be something else on other images, and so is no gain.
    """
    codes = _codes(placements)
    held = _taken(table)
    if not held:
        return _nothing_known(codes)
    rows = np.array([row for row, _, _ in held])
    ious = np.array([iou for _, _, iou in held])
    names = {seed: number for number, seed in enumerate(dict.fromkeys(seed for _, seed, _ in held))}
    seeds = np.array([names[seed] for _, seed, _ in held])
    middle, spread = float(np.median(ious)), _spread(ious, seeds)
    plain = ~codes[rows].any(1)
    scores = _tamed((ious - middle) / spread, seeds, plain)
    runs = Runs(codes[rows], seeds, scores, tuple(int(column.max()) + 1 for column in codes.T))
    by_images = {
        number: influences[row][seed] / spread
        for number, (row, seed, _) in enumerate(held[:_MOST_FOR_VARIANCES])
        if influences and seed in influences[row]
    }
    return _posterior(runs, codes, middle, spread, by_images)


def _nothing_known(codes: Codes) -> Gains:
    n_placements = len(codes)
    none = np.zeros((0, n_placements))
    return Gains(0.0, np.zeros(n_placements), 0.0, codes, NOTHING, none, none.T, NO_EFFECTS)


def _posterior(runs: Runs, codes: Codes, middle: float, spread: float, influences: Mapping[int, Array]) -> Gains:
    """Given the runs, and the images' influences on some of them, in units of the spread."""
    kernels, n_first = score_kernels(runs), min(_MOST_FOR_VARIANCES, len(runs.scores))
    by_images = _by_images(kernels, influences)
    likely = gain_variances(_some(kernels, range(n_first)), runs.scores[:n_first], by_images)
    variances = replace(likely, location=0.0)
    factor = cholesky(covariance_of(kernels, variances, by_images))
    choices = _choices(codes)
    held = solve(factor, _holds(runs.codes, choices))
    white = solve(factor, runs.scores)
    own = OwnEffects.of(held, white, likely.location, codes.shape[1])
    known = solve(factor, _gain_covariance(runs.codes, codes, variances))
    reach = _holds(codes, choices) - known.T @ held
    left = white - held @ own.mean
    return Gains(
        level=middle + spread * _plain_level(runs, factor, left),
        mean=spread * (known.T @ left + _holds(codes, choices) @ own.mean),
        spread=spread,
        codes=codes,
        variances=variances,
        known=known,
        reach=reach,
        own=own,
        learned=Learned(runs, variances, by_images, factor, white, held, tuple(choices), own),
    )


def _choices(codes: Codes) -> list[Choice]:
    """All attentions that placements hold, with their locations."""
    columns = enumerate(codes.T.tolist())
    return [(location, code) for location, column in columns for code in sorted({*column} - {0})]


def _holds(codes: Codes, choices: Sequence[Choice]) -> Array:
    """Which placements hold which choices, (m, p) of 0 and 1."""
    held = [codes[:, location] == code for location, code in choices]
    return np.stack(held, axis=1).astype(float) if held else np.zeros((len(codes), 0))


def _by_images(kernels: Mapping[str, Array], influences: Mapping[int, Array]) -> Variances:
    if len(influences) < _LEAST_COUNTED:
        return NOTHING
    return image_variances(_some(kernels, list(influences)), np.stack(list(influences.values())))


def _some(kernels: Mapping[str, Array], runs: Sequence[int]) -> dict[str, Array]:
    """The kernels among some of the runs."""
    return {name: kernel[np.ix_(runs, runs)] for name, kernel in kernels.items()}


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


def _tamed(scores: Array, seeds: Codes, plain: NDArray[np.bool_]) -> Array:
    """With scores far below the median of their seed raised to five below it.

    What is no worse than the plain U-Net is not far below: where attention is worth much nearly everywhere, the
    plain U-Net and what adds nothing to it are the few that lie apart.
    """
    left = within_groups(scores, seeds)
    least = min(0.0, float(np.median(left[plain]))) - _FAR if plain.any() else -_FAR
    return scores + (left.clip(min=least) - left)
