"""What images happen to give placements is not a gain: made-up runs whose parts are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nas_attn.analysis.gains import gains_of
from nas_attn.models.placement import Placement

Make = Callable[..., Any]
N_PLACEMENTS, N_SEEDS, N_IMAGES = 24, 4, 60
IMAGE_SD, NOISE = 0.06, 0.001  # of IoU: of a mean over the images 0.0077


def runs(seed: int, placements: list[Placement], gain_sd: float) -> tuple[Any, Any, np.ndarray]:
    """Scores and influences, as sums over the images, and the true gains."""
    draw = np.random.default_rng(seed)
    gains = np.r_[0.0, gain_sd * draw.standard_normal(N_PLACEMENTS - 1)]
    images = IMAGE_SD * draw.standard_normal((N_PLACEMENTS, N_IMAGES))
    images[0] = 0.0
    shared = 0.1 * draw.standard_normal(N_IMAGES)
    table, influences = [], []
    for gain, own in zip(gains, images, strict=True):
        noises = NOISE * draw.standard_normal(N_SEEDS)
        table.append({s: 0.7 + gain + (own + shared).mean() + noise for s, noise in enumerate(noises)})
        each = (own + shared - (own + shared).mean()) / N_IMAGES
        influences.append(dict.fromkeys(range(N_SEEDS), each))
    return table, influences, gains


@pytest.fixture(scope="module")
def placements(numbered: Make) -> list[Placement]:
    return [numbered(p) for p in range(N_PLACEMENTS)]


def test_the_best_on_these_images_gains_next_to_nothing_where_nothing_helps(placements: list[Placement]) -> None:
    """Without the influences it is told as nearly what it shows, some two standard deviations of the images."""
    told, known = [], []
    for seed in range(6):
        table, influences, _ = runs(seed, placements, 0.0)
        told.append(gains_of(placements, table).mean.max())
        known.append(gains_of(placements, table, influences).mean.max())
    assert np.mean(told) > IMAGE_SD / N_IMAGES**0.5
    assert np.mean(known) < np.mean(told) / 3


def test_gains_are_shrunk_at_least_by_the_images_share_of_what_placements_differ_by(
    placements: list[Placement],
) -> None:
    """By Bayes to gain variance over gain and image variance; without influences hardly at all."""
    gain_sd = 0.012
    share = gain_sd**2 / (gain_sd**2 + IMAGE_SD**2 / N_IMAGES)
    slopes = []
    for seed in range(6):
        table, influences, _ = runs(seed, placements, gain_sd)
        shown = np.array([np.mean(list(scores.values())) - np.mean(list(table[0].values())) for scores in table])
        found = gains_of(placements, table, influences).mean
        slopes.append(np.cov(shown[1:], found[1:])[0, 1] / shown[1:].var(ddof=1))
    assert share / 2 < np.mean(slopes) < share + 0.05


def test_images_that_favour_nobody_change_nothing(placements: list[Placement]) -> None:
    """However much easier one image is than another for all placements alike."""
    table, influences, _ = runs(0, placements, 0.01)
    alike = [{seed: 100 * influences[0][seed] for seed in held} for held in influences]
    there, plain = gains_of(placements, table, alike), gains_of(placements, table)
    assert there.mean == pytest.approx(plain.mean, abs=2e-4)
