"""The answer of a study, and how it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from nas_attn.analysis import rank, ranking_json
from nas_attn.analysis.detection import default_worth
from nas_attn.analysis.evidence import Evidence
from nas_attn.analysis.formats import verdict_json
from nas_attn.analysis.noise import Noise, PooledSd
from nas_attn.analysis.result import Versus
from nas_attn.analysis.settled import Settled, judged
from nas_attn.analysis.verdict import Decision, Open, StudyVerdict, verdict_of
from nas_attn.analysis.verification import Verification, verification
from nas_attn.latencies import Latency, LatencyTable
from nas_attn.record import PROBE, Cost, Role, State, TrialRecord
from nas_attn.wording.verdicts import answer_sentences, answer_text, settled_text

Make = Callable[..., Any]
STEPS = 100


@pytest.fixture
def study(record: Make, numbered: Make) -> Callable[..., list[TrialRecord]]:
    """The plain U-Net at three budgets, two placements for twice the steps, too, and forty placements in all, of
    which the first gains something; twice the steps change by so much what the first two gain."""

    def make(
        gain: float = 0.0, doubling: float = 0.001, noise: float = 0.002, change: float = 0.0
    ) -> list[TrialRecord]:
        draw = np.random.default_rng(1)
        found = [
            record(number, numbered(0), 0, iou, steps=steps)
            for number, (steps, iou) in enumerate([(50, 0.7), (100, 0.8), (200, 0.8 + doubling)])
        ]
        for row, seed in [(0, 1), (0, 2), *product((1, 2), range(3))]:
            iou = 0.8 + doubling + (gain * (row == 1) + change) * (row > 0) + 0.01 * seed
            iou += noise * float(draw.standard_normal())
            longer = record(len(found), numbered(row), seed, iou, steps=2 * STEPS, role=Role.REFERENCE)
            found.append(replace(longer, reference=f"reference {row}", memory={PROBE: True}))
        for row in range(40):
            for seed in range(6 if row < 5 else 2):
                if (row, seed) != (0, 0):
                    iou = 0.8 + gain * (row == 1) + 0.01 * seed + noise * float(draw.standard_normal())
                    found.append(record(len(found), numbered(row), seed, iou, steps=STEPS, role=Role.PROPOSAL))
        return found

    return make


def verified(records: Sequence[TrialRecord], winner: Any, gain: float, record: Make) -> Verification:
    """Five fresh seeds."""
    plain = next(one.placement for one in records if not one.placement.attended)
    wobble = [0.001, -0.001, 0.0, 0.0015, -0.0015]
    runs = [record(seed, plain, 50 + seed, 0.75, steps=STEPS) for seed in range(5)]
    runs += [record(5 + seed, winner, 50 + seed, 0.75 + gain + wobble[seed], steps=STEPS) for seed in range(5)]
    return verification(runs, winner=winner, plain=plain, reference=None, without={}, found=None, expected=0.02)


@pytest.fixture
def with_finals(study: Make, record: Make, numbered: Make) -> Callable[..., list[TrialRecord]]:
    """Two placements are raced beside the plain U-Net: one that gains 3 points by three fresh seeds, and one that
    gains somewhat more by so many."""

    def make(seeds_of_leader: int, *others: TrialRecord) -> list[TrialRecord]:
        draw = np.random.default_rng(3)
        gains = {0: 0.0, 6: 0.03, 7: 0.036}
        records = [*(one for one in study() if one.placement not in (numbered(6), numbered(7))), *others]
        runs = [(row, seed, Role.PROPOSAL) for row in (6, 7) for seed in range(2)]
        runs += [(row, seed, Role.FINALIST) for row in (0, 6) for seed in (20, 21, 22)]
        runs += [(7, seed, Role.FINALIST) for seed in (20, 21, 22)[:seeds_of_leader]]
        for row, seed, role in runs:
            iou = 0.8 + gains[row] + 0.002 * float(draw.standard_normal())
            records.append(record(1000 + len(records), numbered(row), seed, iou, steps=STEPS, role=role))
        return records

    return make


def decision(records: list[TrialRecord]) -> Decision | None:
    found = judged(records)
    assert found is not None
    return found.decision


@pytest.mark.parametrize(("seeds", "settled"), [(1, None), (2, None), (3, Decision.BETTER)])
def test_better_is_settled_only_once_the_finalist_that_leads_has_three_fresh_seeds(
    with_finals: Make, numbered: Make, seeds: int, settled: Decision | None
) -> None:
    """Another one has them and gains as much as matters: the answer would name the luckier of two seeds."""
    records = with_finals(seeds)
    first = rank(records).rows[0]
    assert first.placement == numbered(7)
    assert decision(records) is settled


def test_a_finalist_that_gets_no_third_seed_is_not_waited_for(
    with_finals: Make, record: Make, numbered: Make
) -> None:
    """One run of it failed, or it was in finals that are over."""
    failed = record(5000, numbered(7), 22, None, steps=STEPS, role=Role.FINALIST, state=State.FAILED)
    assert decision(with_finals(2, replace(failed, failure="it diverged"))) is Decision.BETTER
    later = record(6000, numbered(39), 1, 0.8, steps=STEPS, role=Role.PROPOSAL)
    assert decision([*with_finals(2), later]) is Decision.BETTER


def test_a_gain_that_runs_show_is_better(study: Make, numbered: Make) -> None:
    verdict = verdict_of(study(gain=0.02))
    assert verdict.answer is Decision.BETTER
    assert verdict.row is not None
    assert verdict.row.placement == numbered(1)
    assert verdict.winner is verdict.row
    assert answer_text(verdict).startswith("Better than the baseline: ")
    assert "'nas-attn verify s'" in answer_sentences("s", verdict)[-1]


def test_where_nothing_gains_what_matters_it_is_equivalent_and_else_undecided(study: Make) -> None:
    records = study()
    wide, narrow = verdict_of(records, worth=0.02), verdict_of(records, worth=0.0001)
    assert (wide.answer, narrow.answer) == (Decision.EQUIVALENT, Decision.UNDECIDED)
    assert narrow.reason is Open.TOO_FEW
    assert wide.largest is not None
    assert 0.0001 < wide.largest < 0.02
    size = f"{100 * wide.largest:.1f}"
    assert answer_text(wide) == (
        f"Equivalent: no placement of the attentions that were tried gains more than {size} IoU points over "
        "the baseline (95 % sure), and 2.0 is the smallest gain that matters."
    )
    assert answer_text(verdict_of(records)).endswith(
        "is the smallest gain that matters (by default, the smallest that a search can detect at this noise)."
    )
    more = narrow.further_runs
    assert more is not None
    assert f"About {more} more trials" in " ".join(answer_sentences("s", narrow))


@pytest.mark.parametrize("gain", [-0.01, 0.0, 0.001])
def test_where_a_claim_is_not_confirmed_others_may_gain_what_matters(
    study: Make, numbered: Make, record: Make, gain: float
) -> None:
    """Refuted or not shown, one placement has been judged; what decides of all of them is told."""
    records = study(gain=0.02)
    verdict = verdict_of(records, [verified(records, numbered(1), gain, record)], worth=0.01)
    assert verdict.largest is not None
    assert verdict.largest > 0.01
    n_runs, reach = verdict.ranking.n_runs, verdict.largest / verdict.worth
    assert verdict.further_runs == pytest.approx(n_runs * (reach**2 - 1), abs=1)
    last = answer_sentences("s", verdict)[-1]
    assert last.startswith(f"About {verdict.further_runs} more trials like those so far would decide whether any ")
    assert "gains 1.0 IoU points" in last


def test_a_gain_that_is_shown_and_matters_to_nobody_is_no_answer(
    study: Make, numbered: Make, record: Make
) -> None:
    """A gain of two points where five matter, until it is verified."""
    records = study(gain=0.02)
    verdict = verdict_of(records, worth=0.05)
    assert verdict.row is not None
    assert verdict.row.better_than_baseline is Versus.BETTER
    assert verdict.answer is Decision.EQUIVALENT
    assert verdict.winner is verdict.ranking.plain
    assert "verify" not in " ".join(answer_sentences("s", verdict))

    confirmed = [verified(records, numbered(1), 0.02, record)]
    little, enough = (verdict_of(records, confirmed, worth=worth) for worth in (0.05, 0.02))
    assert little.answer is enough.answer is Decision.BETTER
    assert (little.gains_too_little, enough.gains_too_little) == (True, False)
    assert not verdict.gains_too_little


def test_a_search_that_ended_since_nothing_gains_what_matters_tells_no_lower_bound(study: Make) -> None:
    """It looks until the bound lies within that, and so it is the lower by chance."""
    records = study()
    ended, whole = (verdict_of(records, worth=0.02, trials=len(records) + more) for more in (10, 0))
    assert ended.answer is whole.answer is Decision.EQUIVALENT
    assert whole.largest is not None
    assert whole.largest < ended.largest == 0.02


def test_nothing_gains_more_than_the_baseline_leaves_of_the_metric(record: Make, numbered: Make) -> None:
    """Attentions at three locations gain two points each beside a baseline of 95; all three, by the model, six."""
    draw, effects = np.random.default_rng(2), (0.0, 0.02, -0.03, 0.0)
    records: list[TrialRecord] = []
    for row, seed in product(range(40), range(5)):
        gain = sum(effects[row // 4**location % 4] for location in range(3))
        iou = 0.95 + gain + 0.001 * seed + 0.001 * float(draw.standard_normal())
        records.append(record(len(records), numbered(row), seed, iou, steps=STEPS))
    evidence = Evidence.of(records)
    assert evidence.plain is not None
    mean = evidence.mean(evidence.plain)
    interval = mean.interval(0.95)
    assert interval is not None
    largest = verdict_of(records).largest
    assert largest == pytest.approx(1 - interval.low)
    assert largest > 1 - mean.value, "the true baseline may be lower than it was measured"
    assert largest < evidence.gains.best_gain(0.975)


@pytest.mark.parametrize(("gain", "worth"), [(0.02, None), (0.0, 0.02)])
def test_runs_that_are_too_short_claim_nothing(study: Make, gain: float, worth: float | None) -> None:
    """Neither that a placement is better nor that none is."""
    verdict = verdict_of(study(gain=gain, doubling=0.1), worth=worth)
    assert (verdict.answer, verdict.reason, verdict.converged) == (Decision.UNDECIDED, Open.NOT_CONVERGED, False)
    said = answer_sentences("s", verdict)
    assert said[0].startswith(
        "Undecided, because runs of 100 steps are too short: twice as many steps change the baseline by +10"
    )
    assert "better than the baseline:" not in said[0].lower()
    assert said[-1 if gain == 0 else -2].endswith("search again with --steps 200 or more.")


def test_once_verified_the_verified_figure_is_the_figure(study: Make, numbered: Make, record: Make) -> None:
    records = study(gain=0.02)
    verdict = verdict_of(records, [verified(records, numbered(1), 0.011, record)])
    assert (verdict.answer, verdict.verified) == (Decision.BETTER, True)
    assert verdict.measured is not None
    assert verdict.measured.delta == pytest.approx(0.011)
    assert answer_text(verdict).startswith("Confirmed: ")
    told = json.loads(verdict_json("s", verdict, ()))
    assert told["gain_points"] == told["measured_points"] == pytest.approx(1.1)
    assert told["low"] < 1.1 < told["high"]


@pytest.mark.parametrize(("gain", "worth"), [(0.02, 0.01), (0.0, 0.02)])
def test_differences_that_twice_the_steps_change_claim_nothing(
    study: Make, gain: float, worth: float | None
) -> None:
    """Though the baseline itself has flattened."""
    verdict = verdict_of(study(gain=gain, doubling=0.001, change=0.04), worth=worth)
    assert (verdict.answer, verdict.reason, verdict.converged) == (Decision.UNDECIDED, Open.NOT_CONVERGED, False)
    said = answer_sentences("s", verdict)
    assert said[0].startswith(
        "Undecided, because runs of 100 steps are too short: doubling them changes what reference 1 and "
        "reference 2 gain on average by +4."
    )
    assert "(95 % interval " in said[0]


def test_settled_differences_are_enough_though_the_baseline_still_gains(study: Make) -> None:
    verdict = verdict_of(study(gain=0.02, doubling=0.03), worth=0.01)
    assert (verdict.answer, verdict.converged) == (Decision.BETTER, True)


@pytest.mark.parametrize(("gain", "reason"), [(-0.01, Open.REFUTED), (0.0, Open.REFUTED)])
def test_a_refuted_claim_is_withdrawn(
    study: Make, numbered: Make, record: Make, gain: float, reason: Open
) -> None:
    records = study(gain=0.02)
    verdict = verdict_of(records, [verified(records, numbered(1), gain, record)])
    assert (verdict.answer, verdict.reason, verdict.verified) == (Decision.UNDECIDED, reason, False)
    text = answer_text(verdict)
    assert text.startswith("Refuted: ")
    assert text.endswith("is therefore not claimed.")
    assert "expected gain" not in text
    assert verdict.winner is verdict.ranking.plain, "what is exported as the best is the baseline again"


def test_a_verification_at_another_budget_has_no_say(study: Make, numbered: Make, record: Make) -> None:
    records = study(gain=0.02)
    other = verified(records, numbered(1), -0.01, record)
    assert other.budget is not None
    other = replace(other, budget=replace(other.budget, steps=7))
    assert verdict_of(records, [other]).answer is Decision.BETTER


def test_without_the_baseline_or_without_others_nothing_is_said(study: Make) -> None:
    records = study()
    attended = [one for one in records if one.placement.attended]
    plain = [one for one in records if not one.placement.attended]
    found: dict[Open | None, StudyVerdict] = {}
    for some in (attended, plain, []):
        verdict = verdict_of(some)
        found[verdict.reason] = verdict
        assert verdict.answer is Decision.UNDECIDED
        assert answer_sentences("s", verdict)
        json.loads(verdict_json("s", verdict, ()))
    assert set(found) == {Open.NO_BASELINE, Open.NO_OTHER}


def test_what_matters_follows_the_noise() -> None:
    """Nine differences to one baseline over five seeds, by drawing them; and 0.84 for a power of 80 %."""
    draw = np.random.default_rng(0)
    runs, scale = draw.standard_normal((400_000, 10)), np.sqrt(draw.chisquare(36, 400_000) / 36)
    quantile = np.quantile(np.abs(runs[:, 1:] - runs[:, :1]).max(1) / 2**0.5 / scale, 0.95)
    exact = (quantile + 0.8416) * 0.004 / 5**0.5
    found = default_worth(Noise(PooledSd(0.004, 12.0), None))
    assert exact - 0.0002 < found < exact + 0.001
    assert round(found / 0.001, 9) == round(found / 0.001)
    assert default_worth(Noise(None, None)) == 0.01


def test_the_object_has_what_programs_need(study: Make) -> None:
    told = json.loads(verdict_json("s", verdict_of(study(), worth=0.02), ("one", "two")))
    assert told["verdict"] == "equivalent"
    assert told["worth_points"] == 2.0
    assert told["confidence"] == 0.95
    assert told["verified"] is None
    assert told["converged"] is True
    assert told["sentences"] == ["one", "two"]
    assert set(told) == {
        "study", "verdict", "reason", "placement_id", "placement", "gain_points", "measured_points", "low", "high",
        "largest_possible_gain_points", "worth_points", "confidence", "verified", "converged", "metric",
        "cost", "cost_ratio", "macs", "parameters", "latency_ms", "latency_ratio", "batch_latency_ratio",
        "baseline_macs", "baseline_parameters", "baseline_latency_ms", "as_good_for_less", "sentences",
    }  # fmt: skip


def test_the_object_has_the_costs_of_the_placement_and_the_baseline(study: Make, numbered: Make) -> None:
    """As the ranking's JSON has them."""
    records = [
        replace(one, outcome=replace(one.outcome, cost=Cost(100, 1000 + 500 * len(one.placement.attended), 2.0)))
        for one in study(gain=0.02)
    ]
    verdict = verdict_of(records, ranking=rank(records, cost="macs"))
    told = json.loads(verdict_json("s", verdict, ()))
    (row,) = (one for one in json.loads(ranking_json(verdict.ranking)) if one["placement_id"] == numbered(1).id)
    for name in ("macs", "parameters", "latency_ms", "latency_ratio", "batch_latency_ratio"):
        assert told[name] == row[name]
    assert (told["cost"], told["cost_ratio"], told["macs"]) == ("macs", 1.5, 1500)
    assert (told["baseline_macs"], told["baseline_parameters"], told["baseline_latency_ms"]) == (1000, 100, 2.0)
    assert told["latency_ratio"] is None, "they were not timed together"


GAINS = (0.0, 0.05, 0.0495, 0.0493, 0.03)
"""Of the baseline and four placements; the third and the fourth are as good as the second."""
RATIOS = (1.0, 1.6, 1.55, 1.2, 1.05)


@pytest.fixture
def alike(record: Make, numbered: Make) -> Callable[..., StudyVerdict]:
    """The verdict of runs that scatter by a tenth of a point, and of latencies by the baseline's."""

    def make(worth: float = 0.005, ratios: Sequence[float] | None = RATIOS, cost: str = "macs") -> StudyVerdict:
        draw = np.random.default_rng(0)
        records = [
            record(
                len(GAINS) * seed + number, numbered(number), seed,
                0.8 + gain + 0.001 * float(draw.standard_normal()), macs=int(1000 * RATIOS[number]),
            )
            for seed in range(5)
            for number, gain in enumerate(GAINS)
        ]  # fmt: skip
        single = {numbered(n).id: Latency(2 * ratio, ratio, ratio, ratio) for n, ratio in enumerate(ratios or ())}
        table = LatencyTable("cpu: x, 1 thread", 32, 32, 8, 40, single, single) if ratios else None
        return verdict_of(records, ranking=rank(records, cost=cost, latencies=table), worth=worth)

    return make


@pytest.mark.parametrize("timed", [True, False])
def test_what_is_as_good_and_clearly_cheaper_is_told(
    timed: bool, alike: Callable[..., StudyVerdict], numbered: Make
) -> None:
    """By latency, or by the study's cost where nothing was timed."""
    verdict = alike(ratios=RATIOS if timed else None)
    assert verdict.row is not None
    assert verdict.row.placement == numbered(1)
    cheaper = verdict.as_good_for_less
    assert cheaper is not None
    assert cheaper.placement == numbered(3)

    text = answer_text(verdict)
    assert "As good within the 0.5 points that matter, and cheaper: " in text
    assert text.endswith("1.20x latency, 1.20x MACs." if timed else "1.20x MACs.")
    told = json.loads(verdict_json("s", verdict, ()))["as_good_for_less"]
    assert (told["placement_id"], told["cost"]) == (numbered(3).id, "latency" if timed else "macs")


def test_what_gains_less_or_is_hardly_cheaper_is_no_alternative(
    alike: Callable[..., StudyVerdict], numbered: Make
) -> None:
    """At a worth of three points the fourth is distinguishable from the first all the same."""
    cheaper = alike(worth=0.03).as_good_for_less
    assert cheaper is not None
    assert cheaper.placement == numbered(3)
    hardly = alike(ratios=(1.0, 1.3, 1.25, 1.21, 1.05))
    assert hardly.as_good_for_less is None
    assert json.loads(verdict_json("s", hardly, ()))["as_good_for_less"] is None
    assert alike(worth=0.0001).as_good_for_less is None


def test_where_nothing_is_better_nothing_is_as_good(study: Make) -> None:
    assert verdict_of(study(), worth=0.02).as_good_for_less is None


def test_of_costs_that_are_not_known_the_object_has_null(record: Make, numbered: Make) -> None:
    told = json.loads(verdict_json("s", verdict_of([record(0, numbered(1), 0, 0.5)]), ()))
    assert told["macs"] == 1000
    assert [name for name, value in told.items() if "ratio" in name and value is not None] == []
    assert [told[f"baseline_{name}"] for name in ("macs", "parameters", "latency_ms")] == [None] * 3
    nothing = json.loads(verdict_json("s", verdict_of([]), ()))
    assert [nothing[name] for name in ("macs", "parameters", "latency_ms", "cost_ratio")] == [None] * 4


def test_why_a_search_ends_early_agrees_with_its_answer() -> None:
    nothing, better = Settled(290, Decision.EQUIVALENT), Settled(70, Decision.BETTER)
    assert settled_text(nothing, 25).startswith(
        "Settled: no placement gains enough to matter, so the search ends 25 trials early"
    )
    assert settled_text(better, 25).startswith(
        "Settled: a placement gains enough to matter, so the search ends 25 trials"
    )
