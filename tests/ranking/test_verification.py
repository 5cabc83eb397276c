"""What fresh runs say of a claim."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nas_attn.placement import Location
from nas_attn.ranking import Interval
from nas_attn.ranking.verification import Comparison, Verification, verification
from nas_attn.record import TrialRecord

Make = Callable[..., Any]
WOBBLE = [[0.0, 0.002, -0.001], [0.001, -0.002, 0.0], [-0.002, 0.001, 0.003], [0.002, 0.0, -0.002]]


@pytest.fixture
def verified(record: Make, place: Make) -> Callable[..., Verification]:
    def verify(gain: float, control_gain: float = 0.0, n_seeds: int = 3, failures: int = 0) -> Verification:
        placements = [place(), place(skip_0="se", skip_1="scse"), place(decoder_0="eca"), place(skip_1="scse")]
        gains = [0.0, gain, control_gain, gain - 0.01]
        records: list[TrialRecord] = []
        for seed in range(n_seeds):
            for row, placement in enumerate(placements):
                iou = 0.6 + 0.05 * seed + gains[row] + WOBBLE[row][seed]
                records.append(record(len(records), placement, 7 + seed, iou))
        records += [record(100 + n, placements[2], 50 + n, None) for n in range(failures)]
        return verification(
            records,
            winner=placements[1],
            plain=placements[0],
            control=("eca at the end", placements[2]),
            without={Location.parse("skip.0"): placements[3]},
            found=Comparison(0.03, Interval(0.02, 0.04), 5),
        )

    return verify


def test_the_difference_is_paired_and_its_interval_is_over_all_runs(verified: Callable[..., Verification]) -> None:
    result = verified(0.02)
    assert result.to_plain is not None
    assert result.to_plain.interval is not None
    expected = 0.02 + np.mean(WOBBLE[1]) - np.mean(WOBBLE[0])
    assert result.to_plain.delta == pytest.approx(expected)
    y = np.array(WOBBLE)
    residual = y - y.mean(1, keepdims=True) - y.mean(0) + y.mean()
    half = stats.t.ppf(0.975, 6) * np.sqrt(2 * (residual**2).sum() / 6 / 3)
    assert result.to_plain.interval.high == pytest.approx(expected + half)
    assert result.to_plain.n_seeds == 3
    assert result.iou == pytest.approx((0.67 + np.mean(WOBBLE[1]), 0.65 + np.mean(WOBBLE[0])))


@pytest.mark.parametrize(
    ("gain", "holds", "words"),
    [
        (
            0.03,
            True,
            "The claim holds: se at skip.0 and scse at skip.1 is better than the plain U-Net on the test",
        ),
        (
            0.0,
            False,
            "The claim does not hold: se at skip.0 and scse at skip.1 cannot be told from the plain U-Net",
        ),
        (-0.03, False, "The claim does not hold: se at skip.0 and scse at skip.1 is worse than the plain U-Net"),
    ],
)
def test_the_verdict_says_whether_the_claim_holds(
    verified: Callable[..., Verification], gain: float, holds: bool, words: str
) -> None:
    result = verified(gain)
    assert result.holds is holds
    assert result.sentences[0].startswith(words)
    assert result.sentences[0].endswith("The search had found +3.0 IoU points (2.0 to 4.0, 5 seeds).")


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (0.0, "It is better than the best control, eca at the end: +"),
        (0.03, "It cannot be told from the best control"),
        (0.06, "It is worse than the best control"),
    ],
)
def test_the_best_control_is_told_from_the_winner(
    verified: Callable[..., Verification], control: float, words: str
) -> None:
    assert verified(0.03, control).sentences[1].startswith(words)


def test_a_module_is_worth_what_the_winner_loses_without_it(verified: Callable[..., Verification]) -> None:
    result = verified(0.03, failures=2)
    assert result.module_sentences[0].startswith("se at skip.0 adds +")
    (worth,) = result.modules.values()
    assert worth.delta == pytest.approx(0.01 + np.mean(WOBBLE[1]) - np.mean(WOBBLE[3]))
    assert result.sentences[-1] == "2 runs failed and had no say."


def test_one_seed_tells_nothing_of_the_noise(verified: Callable[..., Verification]) -> None:
    result = verified(0.03, n_seeds=1)
    assert result.holds is None
    assert result.sentences[0].startswith("Not known whether the claim holds: ")


def test_without_runs_nothing_is_known(place: Make) -> None:
    result = verification([], winner=place(skip_0="se"), plain=place(), control=None, without={}, found=None)
    assert result.holds is None
    assert "have no seed in common" in result.sentences[0]
    assert json.loads(result.to_json())["to_plain"] is None


def test_the_json_says_the_same(verified: Callable[..., Verification]) -> None:
    written = json.loads(verified(0.03).to_json())
    assert written["holds"] is True
    assert written["to_plain"]["versus"] == "better"
    assert written["to_plain"]["interval"].keys() == {"low", "high"}
    assert written["modules"].keys() == {"skip.0"}
    assert written["found_by_search"]["delta"] == 0.03
