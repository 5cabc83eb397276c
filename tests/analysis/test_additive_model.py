from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas_attn.analysis.additive import connected_groups, seed_effects
from nas_attn.analysis.noise import pooled_noise

TABLES = st.lists(
    st.dictionaries(st.integers(0, 5), st.floats(0, 1).map(lambda x: round(x, 3)), min_size=1, max_size=5),
    min_size=1,
    max_size=8,
)


def design(table: list[dict[int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    """y, placement dummies, seed dummies, seeds."""
    seeds = sorted({seed for row in table for seed in row})
    cells = [(p, seeds.index(s), y) for p, row in enumerate(table) for s, y in row.items()]
    placements, effects = np.zeros((len(cells), len(table))), np.zeros((len(cells), len(seeds)))
    for number, (p, s, _) in enumerate(cells):
        placements[number, p] = effects[number, s] = 1
    return np.array([y for *_, y in cells]), placements, effects, seeds


@settings(max_examples=70)
@given(table=TABLES)
def test_pooled_noise_is_the_residual_mean_square_of_least_squares(table: list[dict[int, float]]) -> None:
    noise = pooled_noise(table)
    rows = [row for row in table if len(row) > 1]
    if not rows:
        assert noise.pair is None
        assert noise.run is None
        return
    y, placements, effects, _ = design(rows)
    x = np.hstack([placements, effects])
    df = len(y) - np.linalg.matrix_rank(x)
    square = np.sum((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2)
    if df == 0:
        assert noise.pair is None
    else:
        assert noise.pair is not None
        assert noise.pair.degrees_of_freedom == df
        assert noise.pair.sd**2 == pytest.approx(2 * square / df, abs=1e-9)


@settings(max_examples=70)
@given(table=TABLES, tau=st.floats(0.05, 2), sigma=st.floats(0.05, 2))
def test_seed_effects_are_those_of_generalised_least_squares(
    table: list[dict[int, float]], tau: float, sigma: float
) -> None:
    y, placements, effects, seeds = design(table)
    inverse = np.linalg.inv(sigma**2 * np.eye(len(y)) + tau**2 * placements @ placements.T)
    expected = np.linalg.solve(effects.T @ inverse @ effects, effects.T @ inverse @ y)
    found = seed_effects(table, [tau**2 / (tau**2 + sigma**2 / len(row)) for row in table])
    assert [found[seed] for seed in seeds] == pytest.approx(expected, abs=1e-6)


def test_groups_of_seeds_are_those_that_placements_connect() -> None:
    groups = connected_groups([{0: 0.1, 1: 0.2}, {1: 0.3, 2: 0.4}, {}, {7: 0.5}, {8: 0.6, 9: 0.7}])
    assert groups == [([0, 1, 2], [0, 1]), ([7], [3]), ([8, 9], [4])]


def test_what_a_seed_does_to_all_placements_is_no_noise_of_a_pair() -> None:
    table = [{0: 0.50, 1: 0.70, 2: 0.60}, {0: 0.52, 1: 0.72, 2: 0.62}, {0: 0.40, 1: 0.60, 2: 0.50}]
    noise = pooled_noise(table)
    assert noise.pair is not None
    assert noise.run is not None
    assert noise.pair.sd == pytest.approx(0, abs=1e-12)
    assert noise.pair.degrees_of_freedom == 4
    assert noise.run.sd == pytest.approx(0.1)
    assert noise.run.degrees_of_freedom == pytest.approx(2, rel=0.1)  # three seeds, however many saw them


def test_independent_runs_keep_nearly_the_quantile_of_all_degrees_of_freedom() -> None:
    draw = random.Random(0)
    table = [{seed: draw.gauss(0, 1) for seed in range(6)} for _ in range(40)]
    noise = pooled_noise(table)
    assert noise.run is not None
    assert stats.t.ppf(0.975, noise.run.degrees_of_freedom) < 1.03 * stats.t.ppf(0.975, 40 * 5)


def test_two_placements_with_two_seeds_by_hand() -> None:
    # Differences 0.02 and 0.06: variance (0.04^2) / 2 = 0.0008 with one degree of freedom.
    noise = pooled_noise([{0: 0.5, 1: 0.6}, {0: 0.52, 1: 0.66}])
    assert noise.pair is not None
    assert noise.pair.sd**2 == pytest.approx(0.0008)
    assert noise.pair.degrees_of_freedom == 1


def test_one_placement_with_many_seeds_tells_of_runs_but_not_of_pairs() -> None:
    noise = pooled_noise([{0: 0.5, 1: 0.7}, {0: 0.6}])
    assert noise.pair is None
    assert noise.run is not None
    assert noise.run.sd**2 == pytest.approx(0.02)
    assert noise.run.degrees_of_freedom == pytest.approx(1)


def test_identical_scores_have_no_noise() -> None:
    noise = pooled_noise([{0: 0.5, 1: 0.5}] * 3)
    assert noise.pair is not None
    assert noise.pair.sd == pytest.approx(0, abs=1e-9)
