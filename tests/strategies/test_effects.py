"""The model of effects against Gaussian-process regression written out, and what it makes of planted effects."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from nas_attn.strategies import _effects
from nas_attn.strategies._bend import bent
from nas_attn.strategies._effects import Effects, Runs, Variances

STAGES = np.array([0, 0, 1])
N_SPECS = 3


def runs_of(number: int, seed: int = 0, n_seeds: int = 2) -> Runs:
    random = np.random.default_rng(seed)
    return Runs(
        codes=random.integers(0, N_SPECS, (number, 3)),
        stages=STAGES,
        seeds=random.integers(0, n_seeds, number),
        ious=0.8 + 0.05 * random.normal(size=number),
        n_specs=N_SPECS,
        shares=np.ones(number),
    )


def slow_kernel(
    one: tuple[list[int], int], other: tuple[list[int], int], variances: Variances, shares: float = 1.0
) -> float:
    """The covariance of two scores, term by term as the model is stated, times the product of their shares."""
    (codes, seed), (others, other_seed) = one, other
    level = 10.0 + (10.0 if seed == other_seed else 0.0)
    total = 0.0
    shared = 0
    for (i, a), (j, b) in itertools.product(enumerate(codes), enumerate(others)):
        if a == b != 0:
            total += variances.kind / 3
            total += variances.stage / 3 if STAGES[i] == STAGES[j] else 0.0
            total += variances.location / 3 if i == j else 0.0
            shared += i == j
    luck = variances.by_seed * shared / 3 if seed == other_seed else 0.0
    return shares * (level + total + luck + variances.pair * shared * (shared - 1) / 6)


@pytest.mark.parametrize("pair", [0.4, 0.0], ids=["pairs and luck", "neither, in blocks"])
@pytest.mark.parametrize("short_share", [1.0, 0.3], ids=["one budget", "with short runs"])
def test_scores_are_those_of_gaussian_process_regression(
    monkeypatch: pytest.MonkeyPatch, short_share: float, pair: float
) -> None:
    luck = 0.6 if pair else 0.0
    variances = Variances(kind=0.3, stage=0.2, location=0.5, pair=pair, by_seed=luck, noise=0.25)
    over_seeds = replace(variances, by_seed=0.0)
    monkeypatch.setattr(_effects, "MOST_FOR_PAIRS", 14 if pair else 13)
    monkeypatch.setattr(_effects, "_BLOCK", 4)
    monkeypatch.setattr(_effects, "_likely_variances", lambda runs: variances)
    shares = np.repeat((1.0, short_share), (5, 9))
    runs = replace(runs_of(14), shares=shares)
    seen = [(list(map(int, codes)), int(seed)) for codes, seed in zip(runs.codes, runs.seeds, strict=True)]
    kernel = np.array(
        [
            [slow_kernel(one, other, variances, a * b) for other, b in zip(seen, shares, strict=True)]
            for one, a in zip(seen, shares, strict=True)
        ]
    )
    noise = [share**2 * variances.noise + share * (1 - share) for share in shares]
    weights = np.linalg.solve(kernel + np.diag(noise), runs.scores)
    effects = Effects.learn(runs)

    asked = np.array(list(itertools.product(range(N_SPECS), repeat=3)))
    mine = effects.score(asked, effects.mean)
    # A difference between two placements of one seed holds nothing of level and seed.
    for index, codes in enumerate(asked):
        across = [
            slow_kernel((list(map(int, codes)), 0), other, over_seeds, share)
            - slow_kernel(([0, 0, 0], 0), other, over_seeds, share)
            for other, share in zip(seen, shares, strict=True)
        ]
        assert mine[index] - mine[0] == pytest.approx(float(np.dot(across, weights)), abs=1e-6)


def test_draws_scatter_around_the_mean_as_the_posterior_says() -> None:
    effects = Effects.learn(runs_of(20))
    random = np.random.default_rng(1)
    draws = np.array([effects.draw(random) for _ in range(4000)])
    covariance = np.linalg.inv(effects.factor @ effects.factor.T)

    sd = np.sqrt(np.diag(covariance))
    assert np.abs((draws.mean(0) - effects.mean) / sd).max() < 0.1
    assert draws.std(0) / sd == pytest.approx(np.ones(len(sd)), abs=0.1)


def test_scores_are_drawn_from_the_posterior_of_gaussian_process_regression(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mean, spread and correlation over many draws of effects and pairs, against the formula written out."""
    variances = Variances(kind=0.3, stage=0.2, location=0.5, pair=2.0, by_seed=0.8, noise=0.25)
    over_seeds = replace(variances, by_seed=0.0)
    monkeypatch.setattr(_effects, "_likely_variances", lambda runs: variances)
    runs = replace(runs_of(12), shares=np.repeat((1.0, 0.4), (6, 6)))
    asked = np.array([[1, 1, 1], [1, 2, 1], [2, 2, 2], [0, 1, 2]])
    effects, random = Effects.learn(runs), np.random.default_rng(3)
    draws = np.array([effects.score(asked, effects.draw(random), random) for _ in range(6000)])

    def less_plain(one: tuple[list[int], int], other: tuple[list[int], int], shares: float = 1.0) -> float:
        return slow_kernel(one, other, over_seeds, shares) - slow_kernel(([0, 0, 0], 0), other, over_seeds, shares)

    seen = [(list(map(int, codes)), int(seed)) for codes, seed in zip(runs.codes, runs.seeds, strict=True)]
    new = [(list(map(int, codes)), 0) for codes in asked]
    kernel = np.array(
        [
            [slow_kernel(one, other, variances, a * b) for other, b in zip(seen, runs.shares, strict=True)]
            for one, a in zip(seen, runs.shares, strict=True)
        ]
    )
    kernel += np.diag(runs.shares**2 * variances.noise + runs.shares * (1 - runs.shares))
    across = np.array(
        [[less_plain(one, other, share) for other, share in zip(seen, runs.shares, strict=True)] for one in new]
    )
    among = np.array([[less_plain(one, other) - less_plain(one, ([0, 0, 0], 0)) for other in new] for one in new])
    mean = across @ np.linalg.solve(kernel, runs.scores)
    covariance = among - across @ np.linalg.solve(kernel, across.T)
    sd = np.sqrt(np.diag(covariance))

    assert np.abs((draws.mean(0) - mean) / sd).max() < 0.06
    assert draws.std(0) / sd == pytest.approx(np.ones(4), abs=0.05)
    assert np.corrcoef(draws.T) == pytest.approx(covariance / np.outer(sd, sd), abs=0.05)


def test_values_add_up_to_the_score_without_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_effects, "MOST_FOR_PAIRS", 0)
    effects = Effects.learn(runs_of(20))
    values = effects.values(effects.mean)
    codes = np.array(list(itertools.product(range(N_SPECS), repeat=3)))

    assert (values[:, 0] == 0).all()
    summed = values[np.arange(3), codes].sum(1)
    assert effects.score(codes, effects.mean) == pytest.approx(summed)


def planted(number: int, noise: float) -> tuple[Runs, np.ndarray]:
    """Effects at 13 locations of 8 attentions, and a seed that adds ten points."""
    random = np.random.default_rng(5)
    truth = np.column_stack([np.zeros(13), random.normal(0, 0.01, (13, 7))])
    codes = random.integers(0, 8, (number, 13))
    seeds = random.integers(0, 2, number)
    ious = 0.7 + truth[np.arange(13), codes].sum(1) + 0.1 * seeds + noise * random.normal(size=number)
    return Runs(codes, np.repeat(np.arange(4), (4, 1, 4, 4)), seeds, ious, 8, np.ones(number)), truth


def test_planted_effects_are_found_through_noise_and_seeds() -> None:
    runs, truth = planted(300, noise=0.01)
    effects = Effects.learn(runs)

    assert np.corrcoef(effects.values(effects.mean)[:, 1:].ravel(), truth[:, 1:].ravel())[0, 1] > 0.9


def test_more_noise_is_recognised() -> None:
    """As a share of the variance that is left when the seeds are known."""
    quiet, loud = (Effects.learn(planted(300, noise)[0]).variances for noise in (0.003, 0.06))

    assert loud.noise / (loud.kind + loud.location) > 4 * quiet.noise / (quiet.kind + quiet.location)


def test_a_collapsed_run_does_not_drown_the_others() -> None:
    ious = np.array([0.85, 0.86, 0.84, 0.855, 0.845, 0.4, math.nan])
    scores = bent(ious, ious)

    order = np.argsort(scores).tolist()
    assert order == [6, 5, 2, 4, 0, 3, 1]
    assert -10 < scores[5] < -2
    assert scores[6] == scores[5] - 1
    assert scores[:5] == pytest.approx((ious[:5] - np.median(ious[:6])) / ((0.85375 - 0.84125) / 1.35), rel=0.2)


@pytest.mark.parametrize("ious", [[], [0.5], [0.5, 0.5, 0.5], [math.nan, math.nan]])
def test_scores_of_nothing_or_of_equals_are_0(ious: list[float]) -> None:
    assert bent(np.array(ious), np.array(ious)).tolist() == [0.0] * len(ious)
