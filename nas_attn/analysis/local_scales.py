"""Which effects are next to nothing, which are usual and which are large: draws of the variance of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.linalg.blas import dger
from scipy.linalg.lapack import dtrtri

from nas_attn.analysis.images import Array

SCALES = (0.01, 1.0, 30.0)
"""Variance of an effect that is next to nothing, of a usual one and of a large one, by that of a usual one."""
UNEVEN = (0.3, 1.0)
"""Beta distribution of the share of effects that are not usual: most likely none or few."""
SLIGHT = (9.0, 1.0)
"""Beta distribution of the share of those that are next to nothing; the others are large."""
RISE, FALL, TURN = 1.5, 2.0, 4.0
"""Density of the logarithm of the usual variance v, by that expected: v**RISE / (1 + v / TURN)**FALL."""
_SWEEPS, _SETTLING, _APART = 400, 100, 2
_STEP = 0.7
_NOTHING, _USUAL, _LARGE = range(3)


@dataclass(frozen=True, eq=False)
class EffectEvidence:
    """What runs say of p effects, with the variances of all else as one set has them.

    Args:
        precision: of the effects by the runs alone, X' C^-1 X, (p, p).
        pull: X' C^-1 y, (p,).
        log_likelihood: of the runs where all effects are 0, and what the set itself weighs.
    """

    precision: Array
    pull: Array
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class Draw:
    """One draw from the posterior, and what the effects are given that.

    Args:
        part: number of the set of variances of all else.
        variances: prior ones of the effects, (p,).
        mean: of the effects, (p,).
        covariance: of the effects, (p, p).
    """

    part: int
    variances: Array
    mean: Array
    covariance: Array


def local_scales(
    evidence: Sequence[EffectEvidence], expected: float, start: float, *, sweeps: int = _SWEEPS
) -> tuple[Draw, ...]:
    """Draws of which effects are next to nothing, usual or large, of the usual variance and of the rest's set.

    Each effect is normal around 0 with the usual variance times one of ``SCALES`` (a mixture of spike and slab:
    George and McCulloch 1993, doi:10.1080/01621459.1993.10476353). How many are of which scale is learned, so that
    nothing is lost where all are usual. The sampler changes one scale after the other with the effects integrated
    out (Gibbs), then the usual variance and the set (Metropolis). Equal evidence gives equal draws.

    Args:
        evidence: for each set of variances of all else.
        expected: usual variance to expect of an effect.
        start: where its draws start.
        sweeps: through all effects; the first quarter settles, and of the others every second is kept.
    """
    chain = _Chain(evidence, expected, start)
    kept = []
    for sweep in range(sweeps):
        chain.move()
        chain.rescale()
        chain.reshare()
        if sweep >= sweeps * _SETTLING // _SWEEPS and sweep % _APART == 0:
            kept.append(chain.draw())
    return tuple(kept)


@dataclass(frozen=True, eq=False)
class _State:
    """A usual variance and a set of all else, with the effects' scales.

    Args:
        usual: variance.
        part: number of the set.
        factor: lower Cholesky factor of the effects' precision, (p, p).
        white: what it solves of the pull, (p,).
        log_density: of the runs, and of the prior of the usual variance and the set.
    """

    usual: float
    part: int
    factor: Array
    white: Array
    log_density: float

    def moments(self) -> tuple[Array, Array]:
        """Mean, (p,), and covariance, (p, p), of the effects."""
        inverse = dtrtri(self.factor, lower=1)[0]
        return inverse.T @ self.white, np.ascontiguousarray(inverse.T @ inverse)


class _Chain:
    """A Markov chain whose draws in the long run are those of the posterior."""

    def __init__(self, evidence: Sequence[EffectEvidence], expected: float, start: float) -> None:
        self._evidence, self._expected = evidence, expected
        self._generator = np.random.default_rng(0)
        self._scales: NDArray[np.int64] = np.full(len(evidence[0].pull), _USUAL)
        self._shares = (0.2, 0.6, 0.2)
        self._state = self._given(start, 0)
        self._mean, self._covariance = self._state.moments()

    def draw(self) -> Draw:
        """The state as it is."""
        state = self._state
        variances = state.usual * np.array(SCALES)[self._scales]
        return Draw(state.part, variances, self._mean, self._covariance)

    def move(self) -> None:
        """Try another usual variance, another set and another usual variance."""
        self._state = self._given(self._state.usual, self._state.part)  # the scales are others now
        self._try(self._other_usual(), self._state.part)
        self._try(self._state.usual, int(self._generator.integers(len(self._evidence))))
        self._try(self._other_usual(), self._state.part)

    def rescale(self) -> None:
        """Draw the scale of each effect, given those of all others."""
        self._mean, self._covariance = self._state.moments()
        chances = self._generator.random(len(self._scales))
        precisions = [1 / (self._state.usual * scale) for scale in SCALES]
        alone = [
            math.log(share) + math.log(wanted) / 2 for share, wanted in zip(self._shares, precisions, strict=True)
        ]
        for effect in self._generator.permutation(len(self._scales)).tolist():
            variance, mean = float(self._covariance[effect, effect]), float(self._mean[effect])
            more = [wanted - precisions[self._scales[effect]] for wanted in precisions]
            gains = [1 + change * variance for change in more]
            logs = [
                log - math.log(gain) / 2 - change * mean * mean / gain / 2
                for log, gain, change in zip(alone, gains, more, strict=True)
            ]
            scale = _drawn(logs, chances[effect])
            if scale != self._scales[effect]:
                self._scales[effect] = scale
                self._change(effect, more[scale] / gains[scale])

    def reshare(self) -> None:
        """Draw how many effects are of each scale."""
        nothing, usual, large = np.bincount(self._scales, minlength=len(SCALES)).tolist()
        uneven = self._generator.beta(UNEVEN[0] + nothing + large, UNEVEN[1] + usual)
        slight = self._generator.beta(SLIGHT[0] + nothing, SLIGHT[1] + large)
        shares = (uneven * slight, 1 - uneven, uneven * (1 - slight))
        self._shares = tuple(max(share, 1e-300) for share in shares)

    def _change(self, effect: int, by: float) -> None:
        """Follow a change of the precision of one effect's prior."""
        column = self._covariance[:, effect].copy()
        self._mean -= by * self._mean[effect] * column
        dger(-by, column, column, a=self._covariance.T, overwrite_a=1)  # in place: the transpose is in its order

    def _other_usual(self) -> float:
        return self._state.usual * math.exp(_STEP * self._generator.standard_normal())

    def _try(self, usual: float, part: int) -> None:
        tried = self._given(usual, part)
        if math.log(self._generator.random()) < tried.log_density - self._state.log_density:
            self._state = tried

    def _given(self, usual: float, part: int) -> _State:
        """The effects given their scales, with the logarithm of the likelihood and the prior of the rest."""
        evidence, wanted = self._evidence[part], 1 / (usual * np.array(SCALES)[self._scales])
        factor = scipy.linalg.cholesky(evidence.precision + np.diag(wanted), lower=True, check_finite=False)
        white = scipy.linalg.solve_triangular(factor, evidence.pull, lower=True, check_finite=False)
        log = float(np.log(wanted).sum() / 2 - np.log(np.diag(factor)).sum() + white @ white / 2)
        return _State(
            usual, part, factor, white, log + evidence.log_likelihood + _log_prior(usual / self._expected)
        )


def _log_prior(usual: float) -> float:
    return RISE * math.log(usual) - FALL * math.log1p(usual / TURN)


def _drawn(logs: Sequence[float], chance: float) -> int:
    """Which of some, by the logarithms of their weights and a number between 0 and 1."""
    most = max(logs)
    weights = [math.exp(log - most) for log in logs]
    left = chance * sum(weights)
    for number, weight in enumerate(weights[:-1]):
        left -= weight
        if left < 0:
            return number
    return len(weights) - 1
