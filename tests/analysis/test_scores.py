"""IoUs as scores: what collapsed and failed runs count as."""

from __future__ import annotations

import numpy as np
import pytest

from nas_attn.analysis.scores import FAR, Scale

FAILED = -np.inf


def scores_of(ious: list[float], seeds: list[int] | None = None, plain: int | None = None) -> np.ndarray:
    values, groups = np.array(ious), np.array(seeds or [0] * len(ious), dtype=np.int64)
    rungs = np.zeros(len(ious), dtype=np.int64)
    is_plain = np.arange(len(ious)) == plain
    return Scale.of(values, groups, rungs, is_plain, 1, len(ious)).scores(values, groups, rungs)


def test_a_collapsed_run_and_a_failed_one_are_five_spreads_below_the_others_of_their_seed() -> None:
    ious = [0.85, 0.86, 0.84, 0.855, 0.845, 0.4, FAILED]
    scores = scores_of(ious)
    spread = (0.85375 - 0.84125) / 1.349
    assert scores[:5] == pytest.approx((np.array(ious[:5]) - 0.8475) / spread)
    assert scores[5] == pytest.approx(-FAR)  # below the median of those that ran
    assert scores[6] == scores[5]


def test_a_seed_that_lifts_all_its_runs_hides_no_collapse() -> None:
    """IoU 0.6 is far below the runs of the second seed, not below those of the first."""
    ious, seeds = [0.6, 0.61, 0.59, 0.605, 0.9, 0.91, 0.89, 0.6], [0] * 4 + [1] * 4
    scores = scores_of(ious, seeds)
    assert scores[7] == pytest.approx(np.median(scores[4:]) - FAR, abs=2)
    assert scores[7] > scores[0]


def test_what_is_no_worse_than_the_plain_u_net_is_not_raised() -> None:
    """Ten points below all others, and so is the placement that adds nothing to it; what collapsed is raised."""
    ious = [0.97 + 0.001 * (number % 5) for number in range(20)] + [0.87, 0.868, 0.3]
    scores = scores_of(ious, plain=20)
    of_one = (scores[0] - scores[20]) / 0.1
    assert scores[20] < -4 * FAR
    assert scores[20] - scores[21] == pytest.approx(0.002 * of_one)
    assert scores[22] == pytest.approx(scores[20] - FAR)


@pytest.mark.parametrize("ious", [[0.5], [0.5, 0.5, 0.5]])
def test_scores_of_equals_are_0(ious: list[float]) -> None:
    assert scores_of(ious).tolist() == [0.0] * len(ious)


def test_where_all_failed_nothing_is_told() -> None:
    assert scores_of([FAILED, FAILED]).tolist() == [-FAR, -FAR]


def test_a_rung_without_early_runs_is_measured_by_all_of_its_own() -> None:
    ious = np.array([0.8, 0.82, 0.6, 0.64])
    rungs, seeds = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    scale = Scale.of(ious, seeds, rungs, np.zeros(4, dtype=bool), 2, 2)
    assert scale.middles == pytest.approx([0.81, 0.62])
    assert scale.spreads[1] == pytest.approx(2 * scale.spreads[0])
