"""What fresh runs say of a claim."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from nas_attn.analysis import Interval
from nas_attn.analysis.verification import Comparison, Verification, verification
from nas_attn.models.placement import Location
from nas_attn.record import TrialRecord
from nas_attn.wording.verifications import ablation_sentences, verification_sentences

Make = Callable[..., Any]
WOBBLE = [
    [0.0, 0.002, -0.001, 0.001],
    [0.001, -0.002, 0.0, 0.0],
    [-0.002, 0.001, 0.003, -0.001],
    [0.002, 0.0, -0.002, 0.001],
]


@pytest.fixture
def verified(record: Make, place: Make) -> Callable[..., Verification]:
    def verify(
        gain: float,
        reference_gain: float = 0.0,
        n_seeds: int = 4,
        failures: int = 0,
        expected: float | None = None,
    ) -> Verification:
        placements = [place(), place(skip_0="se", skip_1="scse"), place(decoder_0="eca"), place(skip_1="scse")]
        gains = [0.0, gain, reference_gain, gain - 0.01]
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
            reference=("eca at the end", placements[2]),
            without={Location.parse("skip.0"): placements[3]},
            found=Comparison(0.03, Interval(0.02, 0.04), 5),
            expected=expected,
        )

    return verify


def sentences(result: Verification) -> tuple[str, ...]:
    return verification_sentences(result, "COMMAND")


def test_the_difference_is_paired_and_its_noise_is_its_own(verified: Callable[..., Verification]) -> None:
    result = verified(0.02)
    assert result.to_baseline is not None
    assert result.to_baseline.interval is not None
    expected = 0.02 + np.mean(WOBBLE[1]) - np.mean(WOBBLE[0])
    assert result.to_baseline.delta == pytest.approx(expected)
    known = stats.ttest_1samp(0.02 + np.array(WOBBLE[1]) - np.array(WOBBLE[0]), 0).confidence_interval(0.95)
    assert result.to_baseline.interval.low == pytest.approx(known.low)
    assert result.to_baseline.interval.high == pytest.approx(known.high)
    assert result.to_baseline.n_seeds == 4
    assert result.iou == pytest.approx((0.695 + np.mean(WOBBLE[1]), 0.675 + np.mean(WOBBLE[0])))


@pytest.mark.parametrize(
    ("gain", "verdict", "words"),
    [
        (
            0.03,
            "confirmed",
            "Confirmed: se at skip.0 and scse at skip.1 is better than the baseline on the test",
        ),
        (0.0, "refuted", "Refuted: se at skip.0 and scse at skip.1 does not gain the +2.5 IoU points"),
        (-0.03, "refuted", "Refuted: se at skip.0 and scse at skip.1 is worse than the baseline"),
    ],
)
def test_the_verdict_says_what_is_shown_of_the_claim(
    verified: Callable[..., Verification], gain: float, verdict: str, words: str
) -> None:
    result = verified(gain, expected=0.025)
    assert str(result.verdict) == verdict
    assert sentences(result)[0].startswith(words)


@pytest.mark.parametrize(
    ("low", "high", "expected", "verdict"),
    [
        (0.001, 0.02, 0.01, "confirmed"),
        (0.001, 0.005, 0.01, "confirmed"),
        (-0.001, 0.02, 0.01, "not shown"),
        (0.0, 0.01, 0.01, "not shown"),
        (-0.005, 0.009, 0.01, "refuted"),
        (-0.005, 0.009, None, "not shown"),
        (-0.005, -0.001, None, "refuted"),
        (-0.005, 0.0, None, "not shown"),
    ],
)
def test_only_what_excludes_the_claim_refutes_it(
    verified: Callable[..., Verification], low: float, high: float, expected: float | None, verdict: str
) -> None:
    result = replace(
        verified(0.0), to_baseline=Comparison((low + high) / 2, Interval(low, high), 5), expected=expected
    )
    assert str(result.verdict) == verdict


def test_a_gain_smaller_than_expected_is_confirmed_and_said_to_be_smaller(
    verified: Callable[..., Verification],
) -> None:
    result = verified(0.03, expected=0.09)
    assert str(result.verdict) == "confirmed"
    assert sentences(result)[0].endswith("That is less than the +9.0 that the search expected.")
    assert sentences(verified(0.03, expected=0.028))[0].endswith("The search expected +2.8.")


def test_what_is_not_shown_names_what_could_have_been_and_how_many_seeds_could(
    verified: Callable[..., Verification],
) -> None:
    result = verified(0.001, expected=0.004)
    differences = 0.001 + np.array(WOBBLE[1]) - np.array(WOBBLE[0])
    assert result.gain_shown is not None
    error = differences.std(ddof=1) / 4**0.5
    assert stats.nct.sf(stats.t.ppf(0.975, 3), 3, result.gain_shown / error) == pytest.approx(0.8, abs=1e-3)

    def share(n: int) -> float:
        ratio = 0.004 / (differences.std(ddof=1) / n**0.5)
        return float(stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, ratio))

    needed = next(n for n in range(4, 100) if share(n) >= 0.8)
    assert result.seeds_needed == needed
    told = sentences(result)
    assert f"4 seeds could have shown about {100 * result.gain_shown:.1f}." in told[0]
    assert told[1] == f"{needed} seeds could show the +0.4 that the search expected: 'COMMAND --seeds {needed}'."


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (240, "It would take about 240 seeds to show the +0.4 that the search expected"),
        (None, "No number of seeds could show the +0.4 that the search expected"),
        (4, "in four of five verifications if it is real; twice as many show smaller gains: 'COMMAND --seeds 8'"),
    ],
)
def test_it_is_said_where_more_seeds_do_not_help(
    verified: Callable[..., Verification], needed: int | None, words: str
) -> None:
    assert words in sentences(replace(verified(0.001, expected=0.004), seeds_needed=needed))[1]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (0.0, "It is better than the best reference architecture, eca at the end: +"),
        (0.03, "It is not distinguishable from the best reference architecture"),
        (0.06, "It is worse than the best reference architecture"),
    ],
)
def test_the_best_reference_is_told_from_the_winner(
    verified: Callable[..., Verification], reference: float, words: str
) -> None:
    assert sentences(verified(0.03, reference))[1].startswith(words)


def test_a_module_is_worth_what_the_winner_loses_without_it(verified: Callable[..., Verification]) -> None:
    result = verified(0.03, failures=2)
    assert ablation_sentences(result)[0].startswith("se at skip.0 adds +")
    (worth,) = result.modules.values()
    assert worth.delta == pytest.approx(0.01 + np.mean(WOBBLE[1]) - np.mean(WOBBLE[3]))
    assert sentences(result)[-1] == "2 failed runs left out."


def test_one_seed_tells_nothing_of_the_noise(verified: Callable[..., Verification]) -> None:
    result = verified(0.03, n_seeds=1)
    assert str(result.verdict) == "not shown"
    assert sentences(result)[0].startswith("Not shown: ")


@pytest.mark.parametrize("n_seeds", [1, 2, 3])
def test_fewer_than_four_seeds_tell_no_interval_and_ask_for_four(
    verified: Callable[..., Verification], n_seeds: int
) -> None:
    result = verified(0.03, n_seeds=n_seeds, expected=0.02)
    assert result.to_baseline is not None
    assert result.to_baseline.interval is None
    assert (result.gain_shown, result.seeds_needed) == (None, None)
    first, second, *_ = sentences(result)
    assert f"(interval not known, {n_seeds} seed" in first
    assert first.endswith("The noise of the seeds is not known; at least 4 seeds are needed.")
    assert second == "'COMMAND --seeds 4' runs the missing seeds."
    assert json.loads(result.to_json())["to_baseline"]["interval"] is None


def test_a_gain_that_two_seeds_would_show_takes_four(verified: Callable[..., Verification]) -> None:
    assert verified(0.5, expected=0.5).seeds_needed == 4


def test_without_runs_nothing_is_known(place: Make) -> None:
    result = verification([], winner=place(skip_0="se"), plain=place(), reference=None, without={}, found=None)
    assert str(result.verdict) == "not shown"
    assert "there is no seed with which both" in sentences(result)[0]
    assert json.loads(result.to_json())["to_baseline"] is None


def test_the_json_says_the_same(verified: Callable[..., Verification]) -> None:
    written = json.loads(verified(0.03).to_json())
    assert written["verdict"] == "confirmed"
    assert written["to_baseline"]["versus"] == "better"
    assert written["to_baseline"]["interval"].keys() == {"low", "high"}
    assert written["modules"].keys() == {"skip.0"}
    assert written["found_by_search"]["delta"] == 0.03
    assert written["collapsed"] == {"winner": 0, "baseline": 0, "reference": 0}
    assert written["runs"] == {"winner": 4, "baseline": 4, "reference": 4}
    weak = verified(0.001, expected=0.004)
    written = json.loads(weak.to_json())
    assert written["verdict"] == "not shown"
    assert written["shown_by_seeds_points"] == pytest.approx(100 * (weak.gain_shown or 0))
    assert written["seeds_needed"] == weak.seeds_needed
    assert written["expected_gain_points"] == pytest.approx(0.4)
