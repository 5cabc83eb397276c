from __future__ import annotations

import pytest

from nas_attn.analysis.selection_bias import reported_scores


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
