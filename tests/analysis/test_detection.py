"""What a search can see, against finals that are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from nas_attn.analysis.detection import FinalsSize, Sight, trials_needed
from nas_attn.wording.budgets import sight_sentence

NOISE, CONFIDENCE = 0.005, 0.95


def drawn_rate(finalists: int, seeds: int, gain: float, n_studies: int = 100_000) -> float:
    """How often the first finalist is told from none: 95 % of finals without any gain tell of nobody.

    The quantile is that of the drawn finals themselves.
    """
    draw = np.random.default_rng(finalists * 100 + seeds)
    freedom = finalists * (seeds - 1)
    sd = NOISE / (2 * seeds) ** 0.5
    means = sd * draw.standard_normal((n_studies, finalists + 1))
    errors = NOISE / seeds**0.5 * np.sqrt(draw.chisquare(freedom, n_studies) / freedom)
    t = (means[:, 1:] - means[:, :1]) / errors[:, None]
    quantile = np.quantile(np.abs(t).max(1), CONFIDENCE)
    return float((t[:, 0] + gain / errors > quantile).mean())


@pytest.mark.parametrize(("finalists", "seeds"), [(9, 5), (9, 18), (4, 5)])
@pytest.mark.parametrize("gain", [0.004, 0.008])
def test_the_rate_is_that_of_drawn_finals(finalists: int, seeds: int, gain: float) -> None:
    found = FinalsSize(finalists, seeds).detection_rate(gain, NOISE, CONFIDENCE)
    assert found == pytest.approx(drawn_rate(finalists, seeds, gain), abs=0.02)


def test_the_gain_shown_is_seen_in_four_of_five_finals() -> None:
    gain = FinalsSize(9, 5).gain_shown(NOISE, CONFIDENCE)
    assert drawn_rate(9, 5, gain) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    ("trials", "finals"),
    [
        (200, FinalsSize(9, 5.0, 2)),
        (700, FinalsSize(9, 17.5, 2)),
        (60, FinalsSize(2, 5.0, 2)),
        (10, FinalsSize(1, 2.0)),
    ],
)
def test_finals_are_laid_out_as_the_schedule_does(trials: int, finals: FinalsSize) -> None:
    assert FinalsSize.of(trials, 0.25) == finals


def test_so_many_trials_tell_the_gain_and_one_fewer_does_not() -> None:
    needed = trials_needed(0.004, NOISE, 0.25, CONFIDENCE)
    assert needed is not None
    shown = [FinalsSize.of(trials, 0.25).gain_shown(NOISE, CONFIDENCE) for trials in (needed - 1, needed)]
    assert shown[1] <= 0.004 < shown[0]
    assert trials_needed(1e-6, NOISE, 0.25, CONFIDENCE) is None


@pytest.mark.parametrize(
    ("worth", "each", "workers", "expected"),
    [
        (None, 10.0, 2, "; 0.5 would take about 530 trials, 44 min."),
        (0.004, None, 1, "; 0.4 would take about 820 trials."),
        (0.02, 10.0, 2, "."),
    ],
)
def test_it_is_said_in_a_sentence(worth: float | None, each: float | None, workers: int, expected: str) -> None:
    sight = Sight(NOISE, 200, 0.25, CONFIDENCE)
    assert sight_sentence(sight, "IoU", worth=worth, each=each, workers=workers) == (
        "200 trials of this length can detect a gain of 0.9 IoU points in four of five searches" + expected
    )
