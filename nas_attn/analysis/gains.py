"""Gain of each placement over the plain U-Net: the posterior of one model of all runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas_attn.analysis.additive import SeedScores
from nas_attn.analysis.attainable import DRAWS, best_gains
from nas_attn.analysis.effect_model import (
    SCEPTICAL,
    Codes,
    Numbers,
    Prior,
    Runs,
    choices_of,
    gain_covariance,
    holds,
)
from nas_attn.analysis.images import Array, Influences
from nas_attn.analysis.linear_algebra import on_one_core
from nas_attn.analysis.posterior import Posterior
from nas_attn.analysis.scores import Scale
from nas_attn.analysis.variances import milestone
from nas_attn.models.placement import NONE, AttentionSpec, Placement

MOST_RUNS = 1200
"""Most runs that the model uses, because its work grows with their cube. Placements with several runs come
first, then the earliest of the others."""


@dataclass(frozen=True, eq=False)
class Gains:
    """The posterior of the gains of m placements.

    Args:
        specs: attention of each code, ``none`` first.
        codes: of the placements, (m, L).
        scale: converts between IoU and the model's scores.
        posterior: in units of these scores; None without runs.
        n_known: number of runs available to the model.
        n_raised: number of runs so far below the others of their seed that their scores are raised.
    """

    specs: tuple[AttentionSpec, ...]
    codes: Codes
    scale: Scale
    posterior: Posterior | None
    n_known: int = 0
    n_raised: int = 0

    @property
    def n_runs(self) -> int:
        """Number of runs that the posterior uses."""
        return 0 if self.posterior is None else len(self.posterior.runs.scores)

    @property
    def spread(self) -> float:
        """Factor from the model's units to IoU."""
        return float(self.scale.spreads[0])

    @property
    def most_below(self) -> float:
        """Most by which a run's score can lie below the median of its seed, in units of IoU; lower scores are
        raised."""
        return -self.spread * float(self.scale.least[0])

    @cached_property
    def level(self) -> float:
        """Expected IoU of the plain U-Net over the seeds seen."""
        if self.posterior is None:
            return 0.0
        return float(self.scale.middles[0]) + self.spread * self.posterior.level

    @cached_property
    @on_one_core
    def mean(self) -> Array:
        """Gain of each placement, in units of IoU, (m,); 0 for the plain U-Net."""
        if self.posterior is None:
            return np.zeros(len(self.codes))
        own = holds(self.codes, self.posterior.choices) @ self.posterior.own.mean
        mean: Array = self.spread * (self._known.T @ self.posterior.left + own)
        return mean

    @on_one_core
    def covariance(self, rows: Sequence[int]) -> Array:
        """Covariance of the gains of some placements, (k, k)."""
        if self.posterior is None:
            return self.rest_covariance(rows)
        reach = self._reach[rows]
        return self.rest_covariance(rows) + self.spread**2 * (reach @ self.posterior.own.covariance @ reach.T)

    @on_one_core
    def rest_covariance(self, rows: Sequence[int]) -> Array:
        """Covariance of the gains of some placements without their attentions' own effects, (k, k)."""
        if self.posterior is None:
            return np.zeros((len(rows), len(rows)))
        codes, known = self.codes[rows], self._known[:, rows]
        return self.spread**2 * (gain_covariance(codes, codes, self.posterior.variances) - known.T @ known)

    @on_one_core
    def own_draws(self, rows: Sequence[int], number: int) -> Array:
        """Draws of the own effects' contribution to the gains of some placements, relative to its mean, (number,
        k).

        A few effects are large and the others next to nothing, so these sums are not normal. The draws are the
        same at every call.
        """
        if self.posterior is None:
            return np.zeros((number, len(rows)))
        own = self.posterior.own
        drawn = own.drawn(number, np.random.default_rng(3)) - own.mean
        return self.spread * (drawn @ self._reach[rows].T)

    @on_one_core
    def draws(self, rows: Sequence[int], number: int, generator: np.random.Generator) -> Array:
        """Joint draws of the gains of some placements, (number, k)."""
        if self.posterior is None:
            return np.zeros((number, len(rows)))
        drawn = self.posterior.draws(number, generator)
        return self.spread * np.array([draw.gains_tried(self.codes[rows]) for draw in drawn])

    @on_one_core
    def best_gain(self, share: float, most: float = np.inf) -> float | None:
        """The quantile ``share`` of the draws of the best gain (``attainable.best_gains``), in units of IoU.

        Infinity if nothing is known. None if it is above ``most``; then the first few draws may suffice.
        """
        if self.posterior is None:
            return None if most < np.inf else np.inf
        found: list[Array] = []
        n_beyond, most_beyond = 0, DRAWS - 1 - math.floor(share * (DRAWS - 1))
        for drawn in best_gains(self.posterior):
            found.append(self.spread * drawn)
            n_beyond += int((found[-1] > most).sum())
            if n_beyond > most_beyond:
                return None
        quantile = float(np.quantile(np.concatenate(found), share))
        return quantile if quantile <= most else None

    def difference_sd(self, one: int, other: int) -> float:
        """Standard deviation of the difference between two gains."""
        covariance = self.covariance([one, other])
        return float(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) ** 0.5)

    @cached_property
    def _known(self) -> Array:
        """Covariance of each placement's gain without own effects with the scores, whitened, (n, m)."""
        assert self.posterior is not None
        return self.posterior.known(self.codes)

    @cached_property
    @on_one_core
    def _reach(self) -> Array:
        """Dependence of each gain on the own effects given the runs, (m, p)."""
        assert self.posterior is not None
        reach: Array = holds(self.codes, self.posterior.choices) - self._known.T @ self.posterior.held
        return reach


@on_one_core
def gains_of(
    placements: Sequence[Placement],
    table: Sequence[SeedScores],
    influences: Sequence[Influences] = (),
    short: Sequence[Sequence[SeedScores]] = (),
    *,
    prior: Prior = SCEPTICAL,
) -> Gains:
    """Learn the gain of each placement from all runs.

    The model is that of ``effect_model.Runs``, with the variances that make the runs most likely. A gain consists
    of the effects of the placement's attentions and their pairs in all placements, and a rest of the placement's
    own. The more runs a placement has, the better they determine its rest. So a placement with one run is
    predicted from the others that share its attentions, and one with many runs from its own. Runs far below the
    others of their seed and below the plain U-Net count as five spreads below both, and so do runs that failed. A
    run that is far below and the only one of its placement says next to nothing about it.

    Args:
        placements: of each row; all of one network.
        table: seed to IoU for each row, -inf if the run failed; a row without scores is only predicted.
        influences: of the images on each row's runs, by seed; may be omitted. The contribution of the images to
            attentions, pairs and placements would differ on other images, so it does not count as a gain.
        short: like ``table``, for each rung below the top, the longest first.
        prior: of the variances. Even if the variances are learned from the first runs only, the effects use all
            runs.
    """
    specs, codes = _codes(placements)
    known = _known([table, *short])
    if not known:
        return Gains(specs, codes, Scale.of_nothing(), None)
    held = known[:MOST_RUNS]
    rungs, rows = (np.array([run[part] for run in held], dtype=np.int64) for part in (0, 1))
    ious = np.array([iou for *_, iou in held])
    names = {luck: number for number, luck in enumerate(dict.fromkeys((rung, seed) for rung, _, seed, _ in held))}
    seeds = np.array([names[rung, seed] for rung, _, seed, _ in held], dtype=np.int64)
    n_first = milestone(len(held)) if prior.at_milestones else len(held)
    plain = np.asarray((codes[rows] == 0).all(axis=1))
    scale = Scale.of(ious, seeds, rungs, plain, len(short) + 1, n_first)
    runs, first = (
        _runs(codes, rows[:number], ious[:number], seeds[:number], rungs[:number], scale)
        for number in (len(held), n_first)
    )
    by_images = {
        number: influences[row][seed] / scale.spreads[0]
        for number, (rung, row, seed, _) in enumerate(held[:n_first])
        if influences and rung == 0 and seed in influences[row]
    }
    posterior = Posterior.learn(runs, tuple(choices_of(codes)), first, by_images, len(short), prior)
    n_raised = int(scale.raised(ious, seeds, rungs).sum())
    return Gains(specs, codes, scale, posterior, len(known), n_raised)


def _runs(codes: Codes, rows: Numbers, ious: Array, seeds: Numbers, rungs: Numbers, scale: Scale) -> Runs:
    """The runs that the model learns from.

    A run that is far below the others of its seed and the only one of its placement on its rung may have
    collapsed. Its score gets additional noise. The standard deviation of this noise is the distance below the
    median to which the score is raised. So by itself the run says next to nothing, but several such runs with
    the same attention show that the attention harms.
    """
    _, cells, n_runs = np.unique(np.stack([rungs, rows]), axis=1, return_inverse=True, return_counts=True)
    is_alone = n_runs[cells.reshape(-1)] == 1
    doubts = np.where(scale.raised(ious, seeds, rungs) & is_alone, scale.least[rungs] ** 2, 0.0)
    return Runs(codes[rows], seeds, rungs, scale.scores(ious, seeds, rungs), doubts)


def _codes(placements: Sequence[Placement]) -> tuple[tuple[AttentionSpec, ...], Codes]:
    """Attention of each code, and the codes of the placements, (m, L); 0 is ``none``."""
    specs = (NONE, *sorted({spec for placement in placements for _, spec in placement} - {NONE}, key=str))
    code_of = {spec: code for code, spec in enumerate(specs)}
    codes = [[code_of[spec] for _, spec in placement] for placement in placements]
    return specs, np.array(codes, dtype=np.int64)


def _known(tables: Sequence[Sequence[SeedScores]]) -> list[tuple[int, int, int, float]]:
    """(rung, row, seed, IoU) of all runs, placements with several runs first because they determine the noise."""
    order = sorted(range(len(tables[0])), key=lambda row: len(tables[0][row]) < 2)
    return [
        (rung, row, seed, iou)
        for row in order
        for rung, table in enumerate(tables)
        for seed, iou in table[row].items()
    ]
