"""Where nearly every placement gains the same, and much, it is the baseline that lies apart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from nas_attn.analysis import rank
from nas_attn.analysis.gains import Gains, gains_of

Make = Callable[..., Any]
GAIN, NOISE = 0.1, 0.002
PLACES = ("skip_0", "skip_1", "bottleneck")
SINGLE = (1, 4, 16, 64, 256, 2, 8, 32)
"""Numbers of placements of one attention each, at one location after the other."""


@pytest.fixture
def nearly_all(place: Make) -> Callable[[int], tuple[Gains, list[float]]]:
    """Any squeeze-and-excitation brings the gain, and a second one adds nothing; the gate brings nothing."""

    def learn(n_seeds: int) -> tuple[Gains, list[float]]:
        placements = [
            place(**dict(zip(PLACES, kinds, strict=True))) for kinds in product(("none", "se", "gate"), repeat=3)
        ]
        draw = np.random.default_rng(0)
        truth = [GAIN * any(str(spec) == "se" for _, spec in placement) for placement in placements]
        table = [
            {
                seed: 0.8 + gain + NOISE * draw.standard_normal()
                for seed in range(n_seeds if placement.attended else 3)
            }
            for gain, placement in zip(truth, placements, strict=True)
        ]
        return gains_of(placements, table), truth

    return learn


def test_a_gain_that_nearly_all_placements_have_is_not_taken_for_a_collapse_of_the_baseline(
    nearly_all: Callable[[int], tuple[Gains, list[float]]],
) -> None:
    found, truth = nearly_all(3)
    assert found.mean == pytest.approx(truth, abs=0.01)
    assert found.best_gain(0.025) > GAIN / 2


def test_of_single_runs_a_part_of_such_a_gain_is_believed(
    nearly_all: Callable[[int], tuple[Gains, list[float]]],
) -> None:
    """That is what the prior costs, to which kinds and pairs fifty times as large as the noise are not likely."""
    found, truth = nearly_all(1)
    helps = np.array(truth) > 0
    assert found.mean[helps].min() > GAIN / 3
    assert found.mean[~helps] == pytest.approx(0.0, abs=0.01)
    assert found.best_gain(0.025) > GAIN / 2


def expected_gains(record: Make, numbered: Make, number: int, gain: float) -> list[float | None]:
    """Of so many placements that all gain so much, by five seeds whose runs move by a tenth of a point."""
    random = np.random.default_rng(0)
    records = []
    for row, seed in np.ndindex(number + 1, 5):
        placement = numbered(SINGLE[row - 1] if row else 0)
        iou = 0.8 + (gain if row else 0.0) + 0.001 * random.standard_normal()
        records.append(record(len(records), placement, seed, iou))

    return [row.gain for row in rank(records).rows if not row.is_plain]


@pytest.mark.parametrize("gain", [0.01, 0.03])
@pytest.mark.parametrize("number", [2, 3, 5, 8])
def test_what_few_placements_all_gain_is_expected_of_them(
    record: Make, numbered: Make, number: int, gain: float
) -> None:
    expected = expected_gains(record, numbered, number, gain)

    assert expected == pytest.approx([gain] * number, abs=0.15 * gain)


@pytest.mark.parametrize("number", [5, 8])
def test_a_gain_of_twice_the_noise_is_not_taken_for_noise(record: Make, numbered: Make, number: int) -> None:
    """It is shrunken, as all that is expected is."""
    expected = expected_gains(record, numbered, number, 0.002)

    assert expected == pytest.approx([0.002] * number, abs=0.001)
