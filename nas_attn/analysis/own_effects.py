"""What each attention adds at its own location, where few may matter and the others add next to nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nas_attn.analysis.gain_variances import SCEPTICAL
from nas_attn.analysis.images import Array
from nas_attn.analysis.local_scales import Draw, EffectEvidence, local_scales

_EXPECTED = SCEPTICAL.location / 50
"""The density of the usual variance is highest at twelve times what is expected: so at a quarter of the sceptical
one, and a study in which nothing matters says so."""
_LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class OwnEffects:
    """The posterior of p effects: a mixture over which of them are large, usual or next to nothing.

    Args:
        draws: of these scales, and what the effects are given each of them; none where there are no effects.
    """

    draws: Sequence[Draw]

    @classmethod
    def of(cls, held: Array, white: Array, location: float, n_locations: int) -> OwnEffects:
        """Learn from n scores.

        Args:
            held: which runs hold each of p choices, whitened, (n, p).
            white: scores, whitened, (n,).
            location: the likeliest variance of the attentions of a placement at their own locations.
            n_locations: L.
        """
        if not held.shape[1]:
            return NO_EFFECTS
        evidence = EffectEvidence(held.T @ held, held.T @ white, 0.0)
        return cls(local_scales([evidence], _EXPECTED / n_locations, location / n_locations))

    @cached_property
    def mean(self) -> Array:
        """(p,)."""
        mean: Array = self._means.mean(0)
        return mean

    @cached_property
    def covariance(self) -> Array:
        """(p, p), over the scales, too."""
        away = self._means - self.mean
        within: Array = sum((draw.covariance for draw in self.draws), np.zeros((len(self.mean),) * 2))
        return (within + away.T @ away) / max(1, len(self.draws))

    def drawn(self, number: int, generator: np.random.Generator) -> Array:
        """The effects, drawn: from each draw of the scales as often as from all others, (number, p)."""
        turns = np.arange(number) % max(1, len(self.draws))
        found = self._means[turns]
        for turn, draw in enumerate(self.draws):
            mine = turns == turn
            normals = generator.standard_normal((int(mine.sum()), len(draw.mean)))
            found[mine] += normals @ _root(draw.covariance).T
        return found

    @cached_property
    def _means(self) -> Array:
        means: Array = np.array([draw.mean for draw in self.draws]) if self.draws else np.zeros((1, 0))
        return means


NO_EFFECTS = OwnEffects(())


def _root(covariance: Array) -> Array:
    least = _LEAST * float(np.diag(covariance).mean())
    return np.asarray(np.linalg.cholesky(covariance + least * np.eye(len(covariance))), dtype=np.float64)
