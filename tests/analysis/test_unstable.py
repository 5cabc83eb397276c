"""A run that collapsed: it widens its own placement's intervals and no other's."""

from __future__ import annotations

import random
from statistics import stdev

import pytest

from nas_attn.analysis.additive import SeedScores
from nas_attn.analysis.noise import Noise, PooledSd, pooled_noise
from nas_attn.analysis.unstable import own_noise, unstable_rows


def table_of(n_rows: int, n_seeds: int, seed: int = 0, sd: float = 0.004) -> list[dict[int, float]]:
    """Levels a point apart, seeds two points apart, normal noise."""
    generator = random.Random(seed)
    levels = [0.85 + generator.gauss(0, 0.01) for _ in range(n_rows)]
    effects = [generator.gauss(0, 0.02) for _ in range(n_seeds)]
    return [{s: level + effects[s] + generator.gauss(0, sd) for s in range(n_seeds)} for level in levels]


def test_a_collapsed_run_is_seen_and_no_other() -> None:
    table = table_of(12, 3)
    table[4][2] = 0.52
    table[7][0] -= 0.06

    assert unstable_rows(table) == {4, 7}


def test_a_run_far_above_is_as_suspicious() -> None:
    table = table_of(12, 3)
    table[5][1] += 0.05

    assert unstable_rows(table) == {5}


def test_noise_alone_is_hardly_ever_called_unstable() -> None:
    """300 made-up rankings of 12 to 24 degrees of freedom."""
    called = sum(bool(unstable_rows(table_of(rows, 3, seed))) for seed in range(150) for rows in (7, 13))

    assert called <= 3


@pytest.mark.parametrize("n_seeds", [1, 2, 3])
def test_with_few_runs_nothing_is_called_far(n_seeds: int) -> None:
    table: list[SeedScores] = [*table_of(4, n_seeds)]
    table[0] = {**table[0], 0: 0.1}

    assert unstable_rows(table) == frozenset()


def test_scores_that_all_agree_have_no_outlier() -> None:
    assert unstable_rows([{0: 0.5, 1: 0.5, 2: 0.5} for _ in range(8)]) == frozenset()


def test_its_own_scatter_is_that_of_its_runs_and_of_its_differences_to_plain() -> None:
    pooled = Noise(PooledSd(0.005, 30), PooledSd(0.006, 40))
    noise = own_noise({1: 0.86, 2: 0.84, 3: 0.52}, {0: 0.8, 1: 0.85, 2: 0.85, 3: 0.86}, pooled)

    assert noise.run == PooledSd(pytest.approx(stdev([0.86, 0.84, 0.52])), 2)
    assert noise.pair == PooledSd(pytest.approx(stdev([0.01, -0.01, -0.34])), 2)


@pytest.mark.parametrize("scores", [{1: 0.86}, {1: 0.86, 2: 0.8601}], ids=["one run", "by chance alike"])
def test_its_noise_is_never_taken_to_be_below_the_pooled_one(scores: SeedScores) -> None:
    pooled = Noise(PooledSd(0.005, 30), PooledSd(0.006, 40))

    assert own_noise(scores, {1: 0.85, 2: 0.85}, pooled) == pooled
    assert own_noise({1: 0.86, 2: 0.52}, None, pooled).pair == pooled.pair


def test_without_it_the_pooled_noise_is_that_of_the_others() -> None:
    table = table_of(14, 4)
    quiet = pooled_noise(table).pair
    table[3][1] = 0.3
    loud = pooled_noise(table).pair
    mended = pooled_noise([row for number, row in enumerate(table) if number not in unstable_rows(table)]).pair

    assert quiet is not None
    assert loud is not None
    assert mended is not None
    assert loud.sd > 5 * quiet.sd
    assert mended.sd == pytest.approx(quiet.sd, rel=0.15)
