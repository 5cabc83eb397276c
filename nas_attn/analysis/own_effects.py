"""What each attention adds at its own location, where few may matter and the others add next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas_attn.analysis.effect_model import cholesky, solve
from nas_attn.analysis.images import Array
from nas_attn.analysis.one_core import on_one_core


@dataclass(frozen=True, eq=False)
class OwnEffects:
    """The posterior of p effects: a mixture over which of them are large, usual or next to nothing.

    Args:
        scales: prior variances of the effects in each of d draws of these, (d, p).
        precision: of the effects by the runs alone, (p, p).
        pull: the runs' precision times their scores, (p,).
    """

    scales: Array
    precision: Array
    pull: Array

    def draw(self, generator: np.random.Generator) -> Array:
        """The effects, once, (p,), from any draw of the scales."""
        if not len(self.scales):
            return np.zeros(len(self.pull))
        scales = self.scales[generator.integers(len(self.scales))]
        return self._given(scales, generator.standard_normal(len(self.pull)))

    def draw_unseen(self, number: int, generator: np.random.Generator) -> Array:
        """Effects of choices that no run holds: each like any of the others, (number,)."""
        if not self.scales.size:
            return np.zeros(number)
        scales = generator.choice(self.scales.ravel(), number)
        drawn: Array = np.sqrt(scales) * generator.standard_normal(number)
        return drawn

    def drawn(self, number: int, generator: np.random.Generator) -> Array:
        """The effects: from each draw of the scales as often as from all others, (number, p)."""
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
        """(p,)."""
        mean: Array = self._moments[0].mean(0) if len(self.scales) else np.zeros(len(self.pull))
        return mean

    @cached_property
    @on_one_core
    def covariance(self) -> Array:
        """(p, p), over the scales, too."""
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
        """The effects with some scales, of standard normal numbers, (p,) or (k, p)."""
        factor = self._factor(scales)
        white = solve(factor, self.pull) + noise
        return solve(factor, white.T, transposed=True).T

    def _factor(self, scales: Array) -> Array:
        return cholesky(self.precision + np.diag(1 / scales))
