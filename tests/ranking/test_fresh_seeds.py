from __future__ import annotations

import pytest

from nas_attn.ranking.fresh import reported_scores, screening_seed


@pytest.mark.parametrize(
    ("table", "seed"),
    [
        ([{0: 0.1}, {0: 0.1}, {0: 0.1, 1: 0.2}], 0),
        ([{5: 0.1}, {5: 0.1, 0: 0.2}], 5),
        ([{0: 0.1, 1: 0.1}, {0: 0.1, 1: 0.2}], None),
        ([{0: 0.1}], 0),
        ([], None),
    ],
    ids=["most have it", "any number", "all ran both", "one run", "nothing"],
)
def test_the_screening_seed_is_the_one_that_most_placements_have(
    table: list[dict[int, float]], seed: int | None
) -> None:
    assert screening_seed(table) == seed


@pytest.mark.parametrize(
    ("scores", "screening", "plain", "seeds"),
    [
        ({0: 0.9, 1: 0.5, 2: 0.6}, 0, None, {1, 2}),
        ({0: 0.9, 1: 0.5, 2: 0.6}, 0, {0: 0.1, 1: 0.1, 2: 0.1}, {1, 2}),
        ({0: 0.9, 1: 0.5, 2: 0.6}, 0, {0: 0.1, 1: 0.1}, {0, 1, 2}),
        ({0: 0.9, 1: 0.5}, 0, None, {0, 1}),
        ({0: 0.9}, 0, None, {0}),
        ({1: 0.9, 2: 0.5}, 0, None, {1, 2}),
        ({0: 0.9, 1: 0.5, 2: 0.6}, None, None, {0, 1, 2}),
    ],
    ids=["fresh", "paired", "plain lacks one", "one fresh", "none fresh", "never screened", "no screening"],
)
def test_two_seeds_that_did_not_choose_a_placement_report_it(
    scores: dict[int, float], screening: int | None, plain: dict[int, float] | None, seeds: set[int]
) -> None:
    reported = reported_scores(scores, screening, plain)
    assert reported == {seed: scores[seed] for seed in seeds}
