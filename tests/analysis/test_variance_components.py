"""Intervals of a mean whose noise is partly that of its seeds: against an integral, and on made-up truths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nas_attn.analysis.noise import pooled_noise
from nas_attn.analysis.variance_components import Squares, effective_degrees_of_freedom


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
