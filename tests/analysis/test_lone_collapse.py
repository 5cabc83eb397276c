"""A placement's only run, far below the others of its seed: a collapse, or what the placement is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nas_attn.analysis.gains import Gains, gains_of

Make = Callable[..., Any]
NOISE, DROP = 0.003, 0.3
SCALE = 0.008


@pytest.fixture(scope="module")
def learned(numbered: Make) -> Callable[..., tuple[Gains, np.ndarray, list[Any]]]:
    """The gains of 80 placements by one run each and the plain U-Net by three, where some lost much.

    Each attention adds the same at all of its locations; three more placements have three seeds each.
    """

    def learn(lost: Callable[[int, Any], bool], seed: int = 0) -> tuple[Gains, np.ndarray, list[Any]]:
        draw = np.random.default_rng(seed)
        placements = [numbered(0), *(numbered(int(n)) for n in draw.choice(4**7, 83, replace=False) if n)]
        effects: dict[Any, float] = {}
        truth = np.array(
            [
                sum(effects.setdefault(choice, SCALE * draw.standard_normal()) for choice in one.attended)
                for one in placements
            ]
        )
        table = []
        for number, gain in enumerate(truth):
            drop = DROP * lost(number, placements[number])
            seeds = range(3) if number < 4 else [number % 3]
            table.append({at: 0.8 + gain - drop + NOISE * draw.standard_normal() for at in seeds})
        return gains_of(placements, table), truth, placements

    return learn


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_lone_collapses_are_not_explained_by_pairs_of_attentions(learned: Make, seed: int) -> None:
    """By pairs they would be, each run having its own: then all that is told of others holds such pairs, too.

    Others are told apart as they are; all alike may be told too high or too low, by the plain U-Net's luck.
    """
    found, truth, _ = learned(lambda number, _: number in (20, 50), seed)
    none, _, _ = learned(lambda number, _: False, seed)
    assert found.posterior is not None
    assert found.spread**2 * found.posterior.variances.pair < (NOISE / 3) ** 2
    others = [number for number in range(len(truth)) if number not in (20, 50)]
    assert found.mean[others] == pytest.approx(none.mean[others], abs=0.5 * NOISE)
    errors = (found.mean - truth)[others]
    assert np.abs(errors - errors.mean()).mean() < 0.6 * NOISE


def test_an_attention_whose_runs_are_all_far_below_is_told_to_harm(learned: Make) -> None:
    """One such run tells next to nothing, ten of them do."""

    def holds_cbam_first(_: int, placement: Any) -> bool:
        return "cbam" in str(next(iter(placement))[1])

    found, truth, placements = learned(holds_cbam_first)
    harmed = [number for number, one in enumerate(placements) if holds_cbam_first(number, one)]
    assert len(harmed) > 9
    fine = [number for number in range(len(placements)) if number not in harmed]
    assert found.mean[harmed].max() < found.mean[fine].min()
    assert found.mean[harmed].mean() < -0.5 * found.most_below
    assert np.abs(found.mean - truth)[fine].mean() < 2 * NOISE


def test_where_the_plain_unet_lies_far_below_a_lone_collapse_is_doubted_as_much(numbered: Make) -> None:
    """Nearly all gain 60 times the noise, so that five spreads below the others is above the plain U-Net."""
    draw = np.random.default_rng(4)
    placements = [numbered(0), *(numbered(int(n)) for n in draw.choice(4**7, 60, replace=False) if n)]

    def learn(drop: float) -> Gains:
        table = [
            {seed: 0.6 + 0.2 * bool(one.attended) + NOISE * draw_of(number, seed) for seed in seeds(number)}
            for number, one in enumerate(placements)
        ]
        table[30][0] -= drop
        return gains_of(placements, table)

    def draw_of(number: int, seed: int) -> float:
        return float(np.random.default_rng([number, seed]).standard_normal())

    def seeds(number: int) -> range:
        return range(3 if number < 6 else 1)

    lost, none = learn(0.5), learn(0.0)
    assert lost.posterior is not None
    assert lost.posterior.runs.doubts.max() > 20**2
    others = [number for number in range(len(placements)) if number != 30]
    assert lost.mean[others] == pytest.approx(none.mean[others], abs=NOISE)
