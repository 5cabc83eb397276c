"""The mixture of effects next to nothing, usual and large against its sum over all configurations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import betaln

from nas_attn.analysis.effect_estimates import added
from nas_attn.analysis.effect_model import USUAL, Runs, choices_of
from nas_attn.analysis.own_effects import FALL, RISE, SCALES, SLIGHT, TURN, UNEVEN, OwnEffects, local_scales
from nas_attn.analysis.posterior import Posterior

EXPECTED = 0.5
NOISE = 0.5
GENERATOR = np.random.default_rng(5)
HELD = (GENERATOR.random((14, 4)) < 0.5).astype(float)
HELD[:, 3] = HELD[:, 2]  # of these two only the sum is seen
HELD[0, 3] = 1 - HELD[0, 2]
SCORES = HELD @ np.array([2.5, 0.1, 0.0, -1.2]) + GENERATOR.normal(0, 0.7, 14)
EVIDENCE = HELD.T @ HELD / NOISE, HELD.T @ SCORES / NOISE
"""Precision and pull."""


@pytest.fixture(scope="module")
def exact() -> dict[str, np.ndarray]:
    """Moments of the effects, and the chance that the first effect's scale is above the second's: all 81
    configurations and a grid over the usual variance, each by the density of all scores."""
    logs, means, squares, larger = [], [], [], []
    ratios = np.exp(np.linspace(math.log(1e-3), math.log(1e4), 80))
    for configuration in itertools.product(range(3), repeat=4):
        nothing, usual, large = np.bincount(configuration, minlength=3)
        log = betaln(UNEVEN[0] + nothing + large, UNEVEN[1] + usual) + betaln(
            SLIGHT[0] + nothing, SLIGHT[1] + large
        )
        prior = EXPECTED * ratios[:, None, None] * np.diag(np.array(SCALES)[list(configuration)])
        covariance = HELD @ prior @ HELD.T + NOISE * np.eye(len(SCORES))
        across = prior @ HELD.T @ np.linalg.inv(covariance)
        density = -(np.linalg.slogdet(covariance)[1] + SCORES @ np.linalg.inv(covariance) @ SCORES) / 2
        logs.append(density + log + RISE * np.log(ratios) - FALL * np.log1p(ratios / TURN))
        means.append(across @ SCORES)
        squares.append(means[-1] ** 2 + np.diagonal(prior - across @ HELD @ prior, axis1=1, axis2=2))
        larger.append(np.full(80, configuration[0] > configuration[1]))
    weights = np.exp(np.concatenate(logs) - np.max(logs))
    weights /= weights.sum()
    mean, square, above = (weights @ np.concatenate(of) for of in (means, squares, larger))
    return {"mean": mean, "sd": np.sqrt(square - mean**2), "larger": above}


def test_draws_have_the_moments_and_chances_of_all_configurations_together(exact: dict[str, np.ndarray]) -> None:
    scales = local_scales(*EVIDENCE, EXPECTED, EXPECTED, sweeps=6000)
    own = OwnEffects(scales, *EVIDENCE)
    assert own.mean == pytest.approx(exact["mean"], abs=0.03)
    assert np.sqrt(np.diag(own.covariance)) == pytest.approx(exact["sd"], abs=0.03)
    assert (scales[:, 0] > scales[:, 1]).mean() == pytest.approx(exact["larger"], abs=0.04)
    drawn = own.drawn(6000, np.random.default_rng(0))
    assert drawn.mean(0) == pytest.approx(exact["mean"], abs=0.05)
    assert drawn.std(0) == pytest.approx(exact["sd"], abs=0.05)


def test_equal_evidence_gives_equal_draws() -> None:
    one, other = (local_scales(*EVIDENCE, EXPECTED, EXPECTED) for _ in range(2))
    assert np.array_equal(one, other)


def sparse_runs(seed: int) -> tuple[Runs, np.ndarray]:
    """120 runs of random placements with 8 locations of 4 choices, where two of 24 effects are not 0."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 4, (120, 8))
    effects = np.zeros((8, 4))
    effects[2, 1], effects[5, 3] = 2.0, -1.2
    scores = effects[np.arange(8), codes].sum(1) + generator.normal(0, 0.6, 120)
    return Runs(
        codes, np.arange(120) % 4, np.zeros(120, dtype=np.int64), scores - scores.mean(), np.zeros(120)
    ), effects


def test_few_effects_that_matter_are_told_in_full_and_the_others_are_next_to_nothing() -> None:
    """Least squares shrinks nothing: where effects are it is hardly nearer, and elsewhere three times as far."""
    found, squares, truths = [], [], []
    for seed in range(6):
        runs, effects = sparse_runs(seed)
        choices = tuple(choices_of(runs.codes))
        estimates = added(Posterior.learn(runs, choices, runs, {}, 0, USUAL), choices)
        columns = [np.ones((120, 1)), *((runs.seeds == n)[:, None] for n in (1, 2, 3)), runs.holds(choices)]
        squares.append(np.linalg.lstsq(np.hstack(columns).astype(float), runs.scores, rcond=None)[0][4:])
        found.append([mean for mean, _ in estimates])
        truths.append([effects[choice] for choice in choices])
    away, of_squares, truth = np.array(found) - truths, np.array(squares) - truths, np.array(truths)
    assert np.abs(away[truth != 0]).mean() < 1.1 * np.abs(of_squares[truth != 0]).mean()
    assert np.abs(away[truth == 0]).mean() < np.abs(of_squares[truth == 0]).mean() / 3
