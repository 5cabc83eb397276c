"""Average effects of attentions, alone, in pairs and beside each other, from the posterior of all gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas_attn.analysis.effect_model import Choice, n_pairs
from nas_attn.analysis.images import Array
from nas_attn.analysis.linear_algebra import cholesky, on_one_core, solve
from nas_attn.analysis.posterior import Posterior

Estimate = tuple[float, float]
"""Mean and standard deviation, in units of the posterior."""


@on_one_core
def added(posterior: Posterior, choices: Sequence[Choice]) -> list[Estimate]:
    """Effect of each attention, compared with none at its location.

    It is the average over placements that draw each other location's attention evenly from its choices.

    Args:
        posterior: of all gains.
        choices: attentions of it.
    """
    covariance, prior = _single(posterior, choices)
    white = solve(posterior.factor, covariance)
    mine = np.array([[float(one == choice) for choice in choices] for one in posterior.choices])
    reach = mine - posterior.held.T @ white
    means = white.T @ posterior.left + mine.T @ posterior.own.mean
    within = (prior - (white**2).sum(0)).clip(min=0)
    deviations = np.sqrt(within + ((posterior.own.covariance @ reach) * reach).sum(0))
    return list(zip(means.tolist(), deviations.tolist(), strict=True))


@on_one_core
def pairs(posterior: Posterior, choices: Sequence[tuple[Choice, Choice]]) -> list[Estimate]:
    """Joint effect of two attentions beyond the sum of both, with the mean variance of each own effect.

    If no other location has attention, that sum counts the gain common to all placements with attention twice.

    Args:
        posterior: of all gains.
        choices: pairs at different locations.
    """
    if not choices:
        return []
    together = np.stack([_together(posterior, *pair) for pair in choices], axis=1)
    variance, common, likely = _pair_variance(posterior), posterior.variances.common, _likely(posterior)
    bare = np.array([np.delete(likely, [place for place, _ in pair]).prod() for pair in choices])
    attended = posterior.gains * posterior.runs.codes.any(1)
    covariance = variance * together - common * np.outer(attended, bare)
    return _Normal.of(posterior).estimates(covariance, variance + common * bare**2)


@on_one_core
def beside(posterior: Posterior, choice: Choice, other: Choice) -> tuple[Estimate, Estimate]:
    """Effect of an attention if the other's location has none, and its effect beside the other.

    Here the pair is allowed to matter as much as a single effect. Shrunk like all pairs, it would hide that the
    attention adds nothing beside the other.
    """
    together = _together(posterior, choice, other)[:, None]
    own = posterior.scales.mean(0)
    more = max(0.0, float(own.mean()) - _pair_variance(posterior))
    louder = _Normal.of(posterior, more * (together @ together.T))
    mean_own = dict(zip(posterior.choices, own.tolist(), strict=True))[choice]
    mine = mean_own * posterior.gains[:, None] * posterior.runs.holds([choice])
    alone, prior = _single(posterior, [choice], [(other[0], 0)])
    both, prior_both = _single(posterior, [choice], [other])
    return (
        louder.estimates(alone + mine, prior + mean_own)[0],
        louder.estimates(both + mine + more * together, prior_both + mean_own + more)[0],
    )


@dataclass(frozen=True, eq=False)
class _Normal:
    """The same posterior with normal own effects, each with its mean variance.

    Args:
        posterior: of all gains.
        factor: lower Cholesky factor of the scores' covariance with own effects, (n, n).
    """

    posterior: Posterior
    factor: Array

    @classmethod
    def of(cls, posterior: Posterior, more: Array | float = 0.0) -> _Normal:
        """The posterior with an additional covariance of the scores, (n, n)."""
        shown = posterior.gains[:, None] * posterior.runs.holds(posterior.choices)
        held = shown * np.sqrt(posterior.scales.mean(0))
        return cls(posterior, cholesky(posterior.factor @ posterior.factor.T + held @ held.T + more))

    def estimates(self, covariance: Array, prior: Array) -> list[Estimate]:
        """Estimates of sums of terms, given their covariance with the scores, (n, m), and their prior variance,
        (m,)."""
        white = solve(self.factor, covariance)
        means = white.T @ solve(self.factor, self.posterior.runs.scores)
        deviations = np.sqrt((prior - (white**2).sum(0)).clip(min=0))
        return list(zip(means.tolist(), deviations.tolist(), strict=True))


def _together(posterior: Posterior, one: Choice, other: Choice) -> Array:
    """Factor with which each run shows the joint effect of two attentions, (n,)."""
    together: Array = posterior.gains * posterior.runs.holds([one, other]).prod(1)
    return together


def _single(posterior: Posterior, choices: Sequence[Choice], fixed: Sequence[Choice] = ()) -> tuple[Array, Array]:
    """Covariance with the scores, (n, m), and prior variance, (m,), of each of m attentions without its own
    effect.

    Args:
        posterior: of all gains.
        choices: the attentions.
        fixed: attentions at other locations in all placements of the average; code 0 means none.
    """
    runs, pair, common = posterior.runs, _pair_variance(posterior), posterior.variances.common
    kind, likely = posterior.variances.kind / runs.n_locations, _likely(posterior)
    attends, evenly = runs.codes.any(1), (runs.codes > 0) * likely
    others = [choice for choice in fixed if choice[1] > 0]
    besides = runs.holds(others).sum(1)
    columns, priors = [], []
    for location, code in choices:
        free = np.ones(len(likely), dtype=bool)
        free[[location, *(place for place, _ in fixed)]] = False
        mine = runs.holds([(location, code)])[:, 0]
        bare = 0.0 if others else float(likely[free].prod())
        by_kind, by_pair = kind * (runs.codes == code).sum(1), mine * pair * (evenly[:, free].sum(1) + besides)
        columns.append(by_kind + by_pair + common * bare * attends)
        paired = float((likely[free] * (1 - likely[free])).sum()) + len(others)
        priors.append(kind + pair * paired + common * bare**2)
    return posterior.gains[:, None] * np.stack(columns, axis=1), np.array(priors)


def _likely(posterior: Posterior) -> Array:
    """Probability of each choice of a location, none included, if it is drawn evenly, (L,)."""
    places = [location for location, _ in posterior.choices]
    return 1 / (np.bincount(places, minlength=posterior.runs.n_locations) + 1.0)


def _pair_variance(posterior: Posterior) -> float:
    """Variance of one pair."""
    return posterior.variances.pair / n_pairs(posterior.runs.n_locations)
