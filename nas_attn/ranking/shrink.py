"""What to expect of a placement before its score is believed: levels shrunken by how noisy they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from nas_attn.ranking.additive import SeedScores, mean, seed_effects, squares

_LEAST_SPREAD = 0.05  # of sigma^2: keeps an order among placements where no spread between them shows
_LEAST_FOR_QUARTILES = 12
_IQR_PER_SD = 1.349
_FULL_WEIGHT = 1.0 - 1e-6  # of a level that is not shrunken; 1 would leave the seeds' effects undetermined


@dataclass(frozen=True)
class Levels:
    """What the additive model expects of each placement.

    Args:
        expected: IoU of each placement over the seeds seen, shrunken towards the mean of all placements.
        factors: how much each placement's own scores count in that, from 0 to 1.
        effects: seed to its effect, in units of IoU.
        spread_sd: standard deviation between placements, tau; None where it cannot be told from noise.
    """

    expected: tuple[float, ...]
    factors: tuple[float, ...]
    effects: dict[int, float]
    spread_sd: float | None


def shrunken_levels(table: Sequence[SeedScores], pair_sd: float | None, reference: int | None = None) -> Levels:
    """Empirical-Bayes estimates of the placements' levels: best linear unbiased predictors.

    The best of many single runs is mostly luck. With levels drawn from N(m, tau^2) and noise sigma^2, the
    expected level of a placement is m + (mean_s(y_ps - b_s) - m) * tau^2 / (tau^2 + sigma^2 / n), so that a
    difference seen in one seed counts for less than one seen in six. The b_s are the seeds' effects: without
    them a placement run with the lucky seeds would lead. All scores are used, also those by which a placement
    was selected: given all scores, selection does not bias this estimate (Robinson 1991,
    doi:10.1214/ss/1177011926).

    Args:
        table: seed to IoU for each placement.
        pair_sd: noise of a paired difference, sqrt(2) sigma; None where unknown: then nothing is shrunken.
        reference: row of the plain U-Net, which is no draw from the searched placements: never shrunken.
    """
    noise = None if pair_sd is None else pair_sd**2 / 2
    spread = None if noise is None else spread_between(table, noise, reference)
    if noise is None or spread is None:
        weights = [len(scores) / (len(scores) + 1.0) for scores in table]
        factors = [1.0] * len(table)
    else:
        spread = max(spread, _LEAST_SPREAD * noise)
        weights = [_weight(spread, noise / len(scores)) for scores in table]
        if reference is not None:
            weights[reference] = _FULL_WEIGHT
        factors = [1.0 if weight == _FULL_WEIGHT else weight for weight in weights]
    effects = seed_effects(table, weights)
    centre = mean(effects.values()) if effects else 0.0
    expected = tuple(
        centre + factor * adjusted_mean(scores, effects) for scores, factor in zip(table, factors, strict=True)
    )
    return Levels(expected, tuple(factors), effects, None if spread is None else float(spread**0.5))


def adjusted_mean(scores: SeedScores, effects: dict[int, float]) -> float:
    """Mean score of a placement over its seeds, freed of the seeds' effects."""
    return mean(score - effects[seed] for seed, score in scores.items())


def spread_between(table: Sequence[SeedScores], noise: float, reference: int | None) -> float | None:
    """tau^2 by the method of moments: the variance between placements under one seed, less the noise's.

    Placements that do not learn at all lie tens of points below and would make every other score look certain.
    So of many placements the variance is taken from the middle half: (interquartile range / 1.349)^2, as of
    normal levels, where that is less.

    Each placement is seen once, under that of its seeds which most placements have: selected placements, which
    alone have further seeds, then weigh no more than the others.

    Returns:
        at least 0; None where no two placements share a seed.
    """
    counts: dict[int, int] = {}
    for scores in table:
        for seed in scores:
            counts[seed] = counts.get(seed, 0) + 1
    groups: dict[int, list[float]] = {}
    for row, scores in enumerate(table):
        if row != reference and scores:
            seed = max(scores, key=lambda seed: (counts[seed], -seed))
            groups.setdefault(seed, []).append(scores[seed])
    degrees_of_freedom = sum(len(group) - 1 for group in groups.values())
    if degrees_of_freedom == 0:
        return None
    within = sum((len(group) - 1) * _variance(group) for group in groups.values())
    return max(0.0, within / degrees_of_freedom - noise)


def _variance(group: Sequence[float]) -> float:
    if len(group) < 2:
        return 0.0
    plain = squares(group) / (len(group) - 1)
    if len(group) < _LEAST_FOR_QUARTILES:
        return plain
    low, _, high = quantiles(group, n=4)
    return min(plain, ((high - low) / _IQR_PER_SD) ** 2)


def _weight(spread: float, noise_of_mean: float) -> float:
    if noise_of_mean <= 0:
        return _FULL_WEIGHT
    return min(_FULL_WEIGHT, spread / (spread + noise_of_mean))
