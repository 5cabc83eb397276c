"""The mixture of effects next to nothing, usual and large against its sum over all configurations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import betaln

from nas_attn.analysis.effect_model import EffectModel, Runs
from nas_attn.analysis.local_scales import FALL, RISE, SCALES, SLIGHT, TURN, UNEVEN, EffectEvidence, local_scales

EXPECTED = 0.5
NOISES = (0.5, 2.0)
LOG_WEIGHTS = (0.0, 4.5)
GENERATOR = np.random.default_rng(5)
HELD = (GENERATOR.random((14, 4)) < 0.5).astype(float)
HELD[:, 3] = HELD[:, 2]  # of these two only the sum is seen
HELD[0, 3] = 1 - HELD[0, 2]
SCORES = HELD @ np.array([2.5, 0.1, 0.0, -1.2]) + GENERATOR.normal(0, 0.7, 14)


def evidence() -> list[EffectEvidence]:
    found = []
    for noise, weight in zip(NOISES, LOG_WEIGHTS, strict=True):
        log = -SCORES @ SCORES / (2 * noise) - len(SCORES) * math.log(noise) / 2
        found.append(EffectEvidence(HELD.T @ HELD / noise, HELD.T @ SCORES / noise, float(log) + weight))
    return found


@pytest.fixture(scope="module")
def exact() -> dict[str, np.ndarray]:
    """Moments of the effects, chances of each part and that the first effect's scale is above the second's: all 81
    configurations, both parts and a grid over the usual variance, each by the density of all scores."""
    logs, means, squares, larger, parts = [], [], [], [], []
    ratios = np.exp(np.linspace(math.log(1e-3), math.log(1e4), 80))
    for part, configuration in itertools.product(range(2), itertools.product(range(3), repeat=4)):
        nothing, usual, large = np.bincount(configuration, minlength=3)
        log = betaln(UNEVEN[0] + nothing + large, UNEVEN[1] + usual) + betaln(
            SLIGHT[0] + nothing, SLIGHT[1] + large
        )
        prior = EXPECTED * ratios[:, None, None] * np.diag(np.array(SCALES)[list(configuration)])
        covariance = HELD @ prior @ HELD.T + NOISES[part] * np.eye(len(SCORES))
        across = prior @ HELD.T @ np.linalg.inv(covariance)
        density = -(np.linalg.slogdet(covariance)[1] + SCORES @ np.linalg.inv(covariance) @ SCORES) / 2
        logs.append(density + log + RISE * np.log(ratios) - FALL * np.log1p(ratios / TURN) + LOG_WEIGHTS[part])
        means.append(across @ SCORES)
        squares.append(means[-1] ** 2 + np.diagonal(prior - across @ HELD @ prior, axis1=1, axis2=2))
        larger.append(np.full(80, configuration[0] > configuration[1]))
        parts.append(np.full(80, part))
    weights = np.exp(np.concatenate(logs) - np.max(logs))
    weights /= weights.sum()
    mean, square, second, above = (weights @ np.concatenate(of) for of in (means, squares, parts, larger))
    return {"mean": mean, "sd": np.sqrt(square - mean**2), "second part": second, "larger": above}


def test_draws_have_the_moments_and_chances_of_all_configurations_together(exact: dict[str, np.ndarray]) -> None:
    draws = local_scales(evidence(), EXPECTED, EXPECTED, sweeps=6000)
    means = np.array([draw.mean for draw in draws])
    variances = np.array([np.diag(draw.covariance) for draw in draws])
    larger = np.mean([draw.variances[0] > draw.variances[1] for draw in draws])
    assert means.mean(0) == pytest.approx(exact["mean"], abs=0.03)
    assert np.sqrt(variances.mean(0) + means.var(0)) == pytest.approx(exact["sd"], abs=0.03)
    assert larger == pytest.approx(exact["larger"], abs=0.04)
    assert 0.2 < exact["second part"] < 0.8
    assert np.mean([draw.part for draw in draws]) == pytest.approx(exact["second part"], abs=0.05)


def test_equal_evidence_gives_equal_draws() -> None:
    one, other = (local_scales(evidence(), EXPECTED, EXPECTED) for _ in range(2))
    assert all(np.array_equal(a.mean, b.mean) and a.part == b.part for a, b in zip(one, other, strict=True))


def sparse_runs(seed: int) -> tuple[Runs, np.ndarray]:
    """120 runs of random placements with 8 locations of 4 choices, where two of 24 effects are not 0."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 4, (120, 8))
    effects = np.zeros((8, 4))
    effects[2, 1], effects[5, 3] = 2.0, -1.2
    scores = effects[np.arange(8), codes].sum(1) + generator.normal(0, 0.6, 120)
    return Runs(codes, np.arange(120) % 4, scores - scores.mean(), (4,) * 8), effects


def test_few_effects_that_matter_are_told_in_full_and_the_others_are_next_to_nothing() -> None:
    """Least squares shrinks nothing: where effects are it is hardly nearer, and elsewhere three times as far."""
    found, squares, truths = [], [], []
    for seed in range(6):
        runs, effects = sparse_runs(seed)
        estimates = EffectModel.learn(runs).added(runs.choices)
        columns = [np.ones(120), *(runs.seeds == n for n in (1, 2, 3)), *(runs.holds(one) for one in runs.choices)]
        squares.append(np.linalg.lstsq(np.stack(columns, axis=1).astype(float), runs.scores, rcond=None)[0][4:])
        found.append([mean for mean, _ in estimates])
        truths.append([effects[choice] for choice in runs.choices])
    away, of_squares, truth = np.array(found) - truths, np.array(squares) - truths, np.array(truths)
    assert np.abs(away[truth != 0]).mean() < 1.1 * np.abs(of_squares[truth != 0]).mean()
    assert np.abs(away[truth == 0]).mean() < np.abs(of_squares[truth == 0]).mean() / 3


def test_an_attention_that_no_run_holds_is_as_uncertain_as_any() -> None:
    runs, _ = sparse_runs(0)
    (mean, deviation), (_, seen) = EffectModel.learn(runs).added([(2, 9), (2, 1)])
    assert mean == pytest.approx(0, abs=0.05)
    assert deviation > 2 * seen


def test_runs_of_the_plain_network_alone_tell_of_no_attention() -> None:
    runs = Runs(
        np.zeros((20, 8), dtype=np.int64), np.arange(20), np.random.default_rng(0).normal(size=20), (4,) * 8
    )
    assert EffectModel.learn(runs).added([]) == []
