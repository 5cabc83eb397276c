"""Own effects of attentions at their locations: a few may matter while the others are next to nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dger
from scipy.linalg.lapack import dpotrf, dtrtri, dtrtrs

from nas_attn.analysis.images import Array
from nas_attn.analysis.linear_algebra import cholesky, on_one_core, solve

SCALES = (0.01, 1.0, 30.0)
"""Variances of an effect that is next to nothing, of a usual one and of a large one, relative to a usual one."""
_SCALES = np.array(SCALES)
UNEVEN = (0.3, 1.0)
"""Beta distribution of the share of effects that are not usual; most likely there are none or few."""
SLIGHT = (9.0, 1.0)
"""Beta distribution of the share of these that are next to nothing; the others are large."""
RISE, FALL, TURN = 1.5, 2.0, 4.0
"""Density of the logarithm of the usual variance, with v = usual variance / expected one: v**RISE / (1 + v /
TURN)**FALL."""
_SWEEPS, _SETTLING, _APART = 160, 40, 2
_STEP = 0.7
_USUAL = SCALES.index(1.0)
_MOST = 600.0
"""Largest logarithm of a weight; beyond it no other weight matters."""


@dataclass(frozen=True, eq=False)
class OwnEffects:
    """The posterior of p effects: a mixture over which of them are large, usual or next to nothing.

    Args:
        scales: prior variances of the effects in each of d draws, (d, p).
        precision: of the effects by the runs alone, (p, p).
        pull: the effects' linear term in the log likelihood, (p,).
    """

    scales: Array
    precision: Array
    pull: Array

    def draw(self, generator: np.random.Generator) -> Array:
        """One draw of the effects, (p,), with the scales of a random draw."""
        if not len(self.scales):
            return np.zeros(len(self.pull))
        scales = self.scales[generator.integers(len(self.scales))]
        return self._given(scales, generator.standard_normal(len(self.pull)))

    def draw_unseen(self, number: int, generator: np.random.Generator) -> Array:
        """Draws of the effects of choices that no run has, each distributed like any of the others, (number,)."""
        if not self.scales.size:
            return np.zeros(number)
        scales = generator.choice(self.scales.ravel(), number)
        drawn: Array = np.sqrt(scales) * generator.standard_normal(number)
        return drawn

    def drawn(self, number: int, generator: np.random.Generator) -> Array:
        """Draws of the effects, using every draw of the scales equally often, (number, p)."""
        drawn = np.zeros((number, len(self.pull)))
        if not len(self.scales):
            return drawn
        noise = generator.standard_normal(drawn.shape)
        for turn, scales in enumerate(self.scales[:number]):
            mine = slice(turn, None, len(self.scales))
            drawn[mine] = self._given(scales, noise[mine])
        return drawn

    @cached_property
    def mean(self) -> Array:
        """Posterior mean, (p,)."""
        mean: Array = self._moments[0].mean(0) if len(self.scales) else np.zeros(len(self.pull))
        return mean

    @cached_property
    @on_one_core
    def covariance(self) -> Array:
        """Posterior covariance, including the variation over the scales, (p, p)."""
        means, within = self._moments
        away = means - self.mean
        return within + away.T @ away / max(1, len(means))

    @cached_property
    @on_one_core
    def _moments(self) -> tuple[Array, Array]:
        """Means given each draw of the scales, (d, p), and the mean of the covariances, (p, p)."""
        p = len(self.pull)
        means, total = np.zeros((len(self.scales), p)), np.zeros((p, p))
        for number, scales in enumerate(self.scales):
            inverse = solve(self._factor(scales), np.eye(p))
            means[number] = inverse.T @ (inverse @ self.pull)
            total += inverse.T @ inverse
        return means, total / max(1, len(self.scales))

    @on_one_core
    def _given(self, scales: Array, noise: Array) -> Array:
        """The effects given their scales, from standard normal numbers, (p,) or (k, p)."""
        factor = self._factor(scales)
        white = solve(factor, self.pull) + noise
        return solve(factor, white.T, transposed=True).T

    def _factor(self, scales: Array) -> Array:
        return cholesky(self.precision + np.diag(1 / scales))


def local_scales(precision: Array, pull: Array, expected: float, start: float, *, sweeps: int = _SWEEPS) -> Array:
    """Draws of the variance of each effect, which is next to nothing, usual or large, (d, p).

    Each effect is normal around 0 with the usual variance times one of ``SCALES`` (a mixture of spike and slab:
    George and McCulloch 1993, doi:10.1080/01621459.1993.10476353). The share of each scale is learned, so nothing
    is lost if all effects are usual. The sampler changes one scale after another with the effects integrated out
    (Gibbs), then the usual variance (Metropolis). Equal evidence gives equal draws.

    Args:
        precision: of the effects by the runs alone, X' C^-1 X with the variances of all else given, (p, p).
        pull: X' C^-1 y, (p,).
        expected: expected usual variance of an effect.
        start: usual variance at which the chain starts.
        sweeps: through all effects; the first quarter settles, and every second of the others is kept.
    """
    chain = _Chain(precision, pull, expected, start)
    kept = []
    for sweep in range(sweeps):
        chain.move()
        chain.rescale()
        chain.reshare()
        if sweep >= sweeps * _SETTLING // _SWEEPS and sweep % _APART == 0:
            kept.append(chain.variances)
    return np.array(kept)


@dataclass(frozen=True, eq=False)
class _State:
    """A usual variance together with the effects' scales.

    Args:
        usual: variance.
        factor: lower Cholesky factor of the effects' precision, (p, p).
        white: ``pull``, whitened by the factor, (p,).
        log_density: of the runs and of the prior of the usual variance.
    """

    usual: float
    factor: Array
    white: Array
    log_density: float

    def moments(self) -> tuple[Array, Array]:
        """Mean, (p,), and covariance, (p, p), of the effects."""
        inverse = dtrtri(self.factor, lower=1)[0]
        return inverse.T @ self.white, np.ascontiguousarray(inverse.T @ inverse)


class _Chain:
    """A Markov chain whose stationary distribution is the posterior."""

    def __init__(self, precision: Array, pull: Array, expected: float, start: float) -> None:
        self._precision, self._pull, self._expected = precision, pull, expected
        self._generator = np.random.default_rng(0)
        self._scales: NDArray[np.int64] = np.full(len(pull), _USUAL)
        self._shares = (0.2, 0.6, 0.2)
        self._state = self._given(start)

    @property
    def variances(self) -> Array:
        """Current variances of the effects, (p,)."""
        return self._state.usual * _SCALES[self._scales]

    def move(self) -> None:
        """Propose two new usual variances, one after the other (Metropolis)."""
        self._state = self._given(self._state.usual)  # the scales have changed since
        for _ in range(2):
            usual = self._state.usual * math.exp(_STEP * self._generator.standard_normal())
            tried = self._given(usual)
            if math.log(self._generator.random()) < tried.log_density - self._state.log_density:
                self._state = tried

    def rescale(self) -> None:
        """Draw the scale of each effect, given those of all others."""
        mean, covariance = self._state.moments()
        chances = self._generator.random(len(self._scales)).tolist()
        changes = self._changes()
        for effect in self._generator.permutation(len(self._scales)).tolist():
            variance, square = covariance.item(effect, effect), mean.item(effect) ** 2
            before = int(self._scales[effect])
            weights = []
            for change, log in changes[before]:
                gain = 1 + change * variance
                weights.append(math.exp(min(_MOST, log - change * square / gain / 2)) / math.sqrt(gain))
            scale = _drawn(weights, chances[effect])
            if scale != before:
                self._scales[effect] = scale
                change, _ = changes[before][scale]
                _follow(mean, covariance, effect, change / (1 + change * variance))

    def _changes(self) -> list[list[tuple[float, float]]]:
        """For each pair of scales, the change of an effect's precision and the log odds of the change without
        the runs."""
        precisions = [1 / (self._state.usual * scale) for scale in SCALES]
        alone = [
            math.log(share) + math.log(wanted) / 2 for share, wanted in zip(self._shares, precisions, strict=True)
        ]
        return [
            [(wanted - held, log - before) for wanted, log in zip(precisions, alone, strict=True)]
            for held, before in zip(precisions, alone, strict=True)
        ]

    def reshare(self) -> None:
        """Draw the share of effects of each scale."""
        nothing, usual, large = np.bincount(self._scales, minlength=len(SCALES)).tolist()
        uneven = self._generator.beta(UNEVEN[0] + nothing + large, UNEVEN[1] + usual)
        slight = self._generator.beta(SLIGHT[0] + nothing, SLIGHT[1] + large)
        shares = (uneven * slight, 1 - uneven, uneven * (1 - slight))
        self._shares = tuple(max(share, 1e-300) for share in shares)

    def _given(self, usual: float) -> _State:
        """The state for a usual variance and the current scales."""
        wanted = 1 / (usual * _SCALES[self._scales])
        precision = self._precision.copy()
        precision.flat[:: len(wanted) + 1] += wanted
        factor, _ = dpotrf(precision.T, lower=1, overwrite_a=1)  # called directly: this runs a thousand times
        white, _ = dtrtrs(factor, self._pull, lower=1)
        log = float(np.log(wanted).sum() / 2 - np.log(np.diag(factor)).sum() + white @ white / 2)
        return _State(usual, factor, white, log + _log_prior(usual / self._expected))


def _follow(mean: Array, covariance: Array, effect: int, by: float) -> None:
    """Update mean and covariance after a change of the precision of one effect's prior, in place."""
    column = covariance[:, effect].copy()
    mean -= by * mean[effect] * column
    dger(-by, column, column, a=covariance.T, overwrite_a=1)  # in place: the transpose is in its order


def _log_prior(usual: float) -> float:
    return RISE * math.log(usual) - FALL * math.log1p(usual / TURN)


def _drawn(weights: list[float], chance: float) -> int:
    """Index drawn in proportion to the weights, given a random number between 0 and 1."""
    left = chance * sum(weights)
    for number, weight in enumerate(weights[:-1]):
        left -= weight
        if left < 0:
            return number
    return len(weights) - 1
