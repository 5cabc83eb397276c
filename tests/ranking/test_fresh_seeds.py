from __future__ import annotations

import pytest

from nas_attn.ranking.fresh import reported_scores, screening_seeds


@pytest.mark.parametrize(
    ("table", "seeds"),
    [
        ([{0: 0.1}, {0: 0.1}, {0: 0.1, 1: 0.2}], {0}),
        ([{5: 0.1}, {5: 0.1, 0: 0.2}], {5}),
        ([{0: 0.1}, {3: 0.1}, {0: 0.1, 4: 0.2}], {0, 3}),
        ([{0: 0.1, 1: 0.1}, {0: 0.1, 1: 0.2}], set()),
        ([{0: 0.1}], {0}),
        ([], set()),
    ],
    ids=["one", "any number", "several", "all ran both", "one run", "nothing"],
)
def test_screening_seeds_are_those_of_the_placements_that_have_one(
    table: list[dict[int, float]], seeds: set[int]
) -> None:
    assert screening_seeds(table) == seeds


@pytest.mark.parametrize(
    ("scores", "screening", "plain", "seeds"),
    [
        ({0: 0.9, 1: 0.5, 2: 0.6}, {0}, None, {1, 2}),
        ({0: 0.9, 1: 0.5, 2: 0.6}, {0}, {0: 0.1, 1: 0.1, 2: 0.1}, {1, 2}),
        ({0: 0.9, 1: 0.5, 2: 0.6}, {0}, {0: 0.1, 1: 0.1}, {0, 1, 2}),
        ({0: 0.9, 1: 0.5}, {0}, None, {0, 1}),
        ({0: 0.9}, {0}, None, {0}),
        ({1: 0.9, 2: 0.5}, {0}, None, {1, 2}),
        ({0: 0.9, 1: 0.5, 2: 0.6}, set(), None, {0, 1, 2}),
        ({3: 0.9, 0: 0.4, 4: 0.5, 5: 0.6}, {0, 3}, None, {4, 5}),
        ({2: 0.9, 4: 0.5, 5: 0.6}, {0, 3}, None, {4, 5}),
    ],
    ids=[
        "fresh",
        "paired",
        "plain lacks one",
        "one fresh",
        "none fresh",
        "never screened",
        "no screening",
        "another's screening seed",
        "the only one screened with it",
    ],
)
def test_two_seeds_that_did_not_choose_a_placement_report_it(
    scores: dict[int, float], screening: set[int], plain: dict[int, float] | None, seeds: set[int]
) -> None:
    reported = reported_scores(scores, screening, plain)
    assert reported == {seed: scores[seed] for seed in seeds}
