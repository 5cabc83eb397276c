"""Finalists are reported by fresh runs; what a seed does to all of them is seen beside the plain U-Net."""

from __future__ import annotations

import numpy as np
import pytest

from nas_attn.analysis.finalists import USUAL_RATIO, reported_scores, shared_ratio


@pytest.mark.parametrize(
    ("scores", "final", "plain", "seeds"),
    [
        ({0: 0.9, 1: 0.5, 2: 0.6}, {1, 2}, None, {1, 2}),
        ({0: 0.9, 1: 0.5, 2: 0.6}, {1, 2}, {0: 0.1, 1: 0.1, 2: 0.1}, {1, 2}),
        ({0: 0.9, 1: 0.5, 2: 0.6}, {1, 2}, {0: 0.1, 1: 0.1}, {0, 1, 2}),
        ({0: 0.9, 1: 0.5}, {1}, None, {0, 1}),
        ({0: 0.9}, set(), None, {0}),
        ({0: 0.9, 1: 0.5, 2: 0.6}, set(), None, {0, 1, 2}),
        ({0: 0.9, 1: 0.5, 2: 0.6, 3: 0.7}, {1, 2, 7}, None, {1, 2}),
    ],
    ids=["finals", "paired", "plain lacks one", "one of the finals", "tried", "never a finalist", "one collapsed"],
)
def test_a_finalist_is_reported_by_its_runs_in_the_finals(
    scores: dict[int, float], final: set[int], plain: dict[int, float] | None, seeds: set[int]
) -> None:
    assert reported_scores(scores, final, plain) == {seed: scores[seed] for seed in seeds}


def ratio_of(number: int, true: float, n_seeds: int = 5, n_rows: int = 9) -> float:
    draw = np.random.default_rng([number, n_seeds])
    plain = draw.normal(0, 1, n_seeds)
    moved = draw.normal(0, true**0.5, n_seeds)
    rows = draw.normal(0, 2, (n_rows, 1)) + moved + draw.normal(0, 1, (n_rows, n_seeds))
    return shared_ratio([dict(enumerate(row)) for row in rows.tolist()], dict(enumerate(plain.tolist())), 1.0)


def test_the_mean_over_the_prior_is_right() -> None:
    """Drawn from the prior, the posterior mean is right on average: the law of total expectation."""
    draw = np.random.default_rng(3)
    true = draw.exponential(USUAL_RATIO, 600)
    found = [ratio_of(number, float(ratio)) for number, ratio in enumerate(true)]
    assert np.mean(found) == pytest.approx(np.mean(true), abs=0.05)
    assert np.corrcoef(found, true)[0, 1] > 0.2


def test_many_seeds_tell_it() -> None:
    assert np.mean([ratio_of(n, 0.0, n_seeds=200) for n in range(10)]) < 0.12
    assert np.mean([ratio_of(n, 1.0, n_seeds=200) for n in range(10)]) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize(
    ("table", "plain", "variance"),
    [([], {}, 1.0), ([{0: 0.5}], {0: 0.4}, 1.0), ([{0: 0.5, 1: 0.6}] * 2, {0: 0.4, 1: 0.5}, 0.0)],
    ids=["nothing", "one seed", "no noise"],
)
def test_where_nothing_is_known_it_is_the_usual_one(
    table: list[dict[int, float]], plain: dict[int, float], variance: float
) -> None:
    assert shared_ratio(table, plain, variance) == USUAL_RATIO
