"""The noise of seeds, against an integral and on made-up truths, and without a run that collapsed."""

from __future__ import annotations

import random
from statistics import stdev

import numpy as np
import pytest
from scipy import stats

from nas_attn.analysis.additive import SeedScores
from nas_attn.analysis.noise import (
    Noise,
    PooledSd,
    Squares,
    effective_degrees_of_freedom,
    own_noise,
    pooled_noise,
    unstable_rows,
)


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        (Squares(8.0, 1), Squares(8.0, 8)),
        (Squares(40.0, 2), Squares(10.0, 10)),
        (Squares(2.0, 4), Squares(12.0, 8)),
    ],
)
def test_the_quantile_is_that_of_the_generalised_pivot(shared: Squares, own: Squares) -> None:
    """The tail beyond it, integrated over chi-square quantiles by SciPy."""
    number = shared.degrees_of_freedom + own.degrees_of_freedom
    sd = np.sqrt((shared.total + own.total) / number)
    reach = stats.t.ppf(0.975, effective_degrees_of_freedom(shared, own)) * sd
    levels = (np.arange(1000) + 0.5) / 1000
    between = stats.chi2.ppf(levels, shared.degrees_of_freedom)[:, None]
    within = stats.chi2.ppf(levels, own.degrees_of_freedom)[None, :]
    alone = own.total / within
    effect = np.maximum(0, shared.total / between - alone) / (number / shared.degrees_of_freedom)
    assert (2 * stats.norm.sf(reach / np.sqrt(effect + alone))).mean() == pytest.approx(0.05, abs=0.003)


def test_where_runs_have_no_noise_of_their_own_the_seeds_alone_count() -> None:
    assert effective_degrees_of_freedom(Squares(3.0, 2), Squares(1e-12, 6)) == pytest.approx(2, rel=0.1)


def test_without_any_squares_all_degrees_of_freedom_are_left() -> None:
    assert effective_degrees_of_freedom(Squares(0.0, 2), Squares(0.0, 6)) == 8


@pytest.mark.parametrize(("loudness", "most"), [(1.5, 1.0), (4.0, 0.975), (12.0, 0.97)])
def test_intervals_of_means_cover_95_percent_with_loud_seeds_and_more_with_quiet_ones(
    loudness: float, most: float
) -> None:
    """Seeds whose effect on all placements varies by so many standard deviations of a run's own noise.

    Satterthwaite's degrees of freedom would cover 88 to 92 % with two loud seeds. The means of a study share its
    seeds, so that a study counts hardly more than once: of 900, 95 % and 0.7 points.
    """
    generator = np.random.default_rng(3)
    covered = []
    for n_placements, n_seeds in ((9, 2), (6, 3), (3, 5)) * 300:
        table = loudness * generator.standard_normal(n_seeds) + generator.standard_normal((n_placements, n_seeds))
        run = pooled_noise([dict(enumerate(scores)) for scores in table.tolist()]).run
        assert run is not None
        half = stats.t.ppf(0.975, run.degrees_of_freedom) * run.sd / np.sqrt(n_seeds)
        covered.append((np.abs(table.mean(1)) <= half).mean())
    assert 0.93 <= np.mean(covered) <= most


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
