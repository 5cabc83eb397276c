from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from nas_attn.analysis import Evidence, Interval, Versus, rank
from nas_attn.counts import ImageCounts
from nas_attn.errors import UsageError
from nas_attn.record import Role, State, TrialRecord
from nas_attn.wording.rankings import measured, ranking_notes, ranking_verdict

Make = Callable[..., Any]


def dunnett(correlation: float, freedom: int) -> float:
    """The t that two correlated ones stay within with 95 %, by SciPy's multivariate t."""
    both = stats.multivariate_t(shape=[[1, correlation], [correlation, 1]], df=freedom, seed=0)

    def lacking(t: float) -> float:
        return float(both.cdf([t, t], lower_limit=[-t, -t])) - 0.95

    return float(optimize.brentq(lacking, 1, 9, xtol=1e-3))


def test_mean_difference_and_intervals_by_hand(table: Make, numbered: Make) -> None:
    """Three placements, all with seeds 0 to 3, against SciPy and NumPy."""
    y = np.array([[0.50, 0.60, 0.56, 0.52], [0.53, 0.62, 0.61, 0.55], [0.49, 0.63, 0.55, 0.50]])
    ranking = rank(table({numbered(p): dict(enumerate(y[p])) for p in range(3)}))
    residual = y - y.mean(axis=1, keepdims=True) - y.mean(axis=0) + y.mean()
    sigma2 = (residual**2).sum() / 6
    ratio = Evidence.of(table({numbered(p): dict(enumerate(y[p])) for p in range(3)})).shared_ratio
    half = dunnett((1 + ratio) / (2 + ratio), 6) * math.sqrt((2 + ratio) * sigma2 / 4)
    row = next(row for row in ranking.rows if row.placement == numbered(1))
    assert row.delta == pytest.approx((0.03 + 0.02 + 0.05 + 0.03) / 4)
    assert row.delta_interval is not None
    assert row.delta_interval.low == pytest.approx(row.delta - half, abs=2e-4)
    assert row.delta_interval.high == pytest.approx(row.delta + half, abs=2e-4)
    assert row.iou_mean == pytest.approx(y[1].mean())
    assert row.n_seeds == 4
    # The noise of a mean: what the seeds do to all, seen with 3 degrees of freedom, and the rest with 6.
    seeds, rest = 3 * ((y.mean(axis=0) - y.mean()) ** 2).sum(), (residual**2).sum()
    levels = (np.arange(1000) + 0.5) / 1000
    alone = rest / stats.chi2.ppf(levels, 6)[None, :]
    shared = np.maximum(0, seeds / stats.chi2.ppf(levels, 3)[:, None] - alone) / 3
    assert row.iou_interval is not None
    half = row.iou_interval.high - row.iou_mean
    assert (2 * stats.norm.sf(half / np.sqrt((shared + alone) / 4))).mean() == pytest.approx(0.05, abs=0.003)


def test_the_order_is_by_expected_iou_and_ranks_count_from_one(table: Make, numbered: Make) -> None:
    levels = {0: 0.5, 1: 0.4, 2: 0.7}
    ranking = rank(table({numbered(p): {0: iou, 1: iou + 0.01, 2: iou} for p, iou in levels.items()}))
    assert [(row.rank, row.placement) for row in ranking.rows] == [
        (1, numbered(2)),
        (2, numbered(0)),
        (3, numbered(1)),
    ]


def test_no_placement_leads_for_a_single_run(table: Make, numbered: Make) -> None:
    draw = random.Random(3)
    scores = {numbered(p): {0: 0.50 + draw.gauss(0, 0.005)} for p in range(3, 30)}
    scores[numbered(0)] = {seed: 0.50 + draw.gauss(0, 0.01) for seed in range(6)}
    scores[numbered(1)] = {seed: 0.53 + draw.gauss(0, 0.01) for seed in range(6)}
    scores[numbered(2)] = {0: 0.60}
    rows = rank(table(scores)).rows
    assert [row.placement for row in rows[:2]] == [numbered(1), numbered(0)]
    assert [row.tested for row in rows] == [True, False, *[False] * 28]
    assert rows[2].placement == numbered(2)
    assert rows[2].delta_interval is None
    assert rows[2].better_than_baseline is Versus.UNKNOWN


def test_a_finalist_is_reported_from_its_runs_in_the_finals(table: Make, numbered: Make) -> None:
    scores = {numbered(p): {0: 0.50 + 0.001 * p} for p in range(2, 8)}
    scores[numbered(0)] = {0: 0.50, 1: 0.60, 2: 0.61}
    scores[numbered(1)] = {0: 0.58, 1: 0.62, 2: 0.64}
    ranking = rank(table(scores, finals=frozenset({1, 2})))
    row = next(row for row in ranking.rows if row.placement == numbered(1))
    assert row.seeds == (1, 2)
    assert row.fresh
    assert row.delta == pytest.approx(0.025)
    assert row.iou_mean == pytest.approx(0.63)
    assert "measured by their runs in the finals" in " ".join(ranking_notes(ranking))


@pytest.mark.parametrize("seeds", [(0, 1, 2), (0, 1)], ids=["the baseline's seeds", "fewer seeds"])
def test_values_over_different_seeds_are_said_not_to_compare(
    table: Make, numbered: Make, seeds: tuple[int, ...]
) -> None:
    """Seed 2 adds 0.1: without it a placement that gains 0.01 has a mean that is lower than the baseline's."""
    scores = {numbered(0): {0: 0.50, 1: 0.51, 2: 0.61}}
    scores[numbered(1)] = {seed: scores[numbered(0)][seed] + 0.01 for seed in seeds}
    ranking = rank(table(scores))
    row = next(row for row in ranking.rows if not row.is_plain)
    assert ranking.plain is not None
    assert row.delta == pytest.approx(0.01)
    differ = len(seeds) < 3
    assert (row.iou_mean < ranking.plain.iou_mean) == differ
    said = "IoU x100 is averaged over each placement's own seeds, which differ"
    assert any(said in note for note in ranking_notes(ranking)) == differ


def test_earlier_finals_had_a_say_in_who_is_in_the_last_ones(record: Make, numbered: Make) -> None:
    """Of a study that went on: seeds 1 and 2 came before further proposals."""
    finals = [(p, seed) for seed in (1, 2) for p in (0, 1, 2)]
    late = [(p, seed) for seed in (3, 4) for p in (0, 1)]
    turns = [(p, 0, Role.PROPOSAL) for p in range(6)] + [(*turn, Role.FINALIST) for turn in finals]
    turns += [(p, 0, Role.PROPOSAL) for p in range(6, 9)] + [(*turn, Role.FINALIST) for turn in late]
    ranking = rank([record(n, numbered(p), s, 0.5 + 0.01 * p, role=role) for n, (p, s, role) in enumerate(turns)])
    seeds = {row.placement: row.seeds for row in ranking.rows}
    assert seeds[numbered(1)] == (3, 4)
    assert seeds[numbered(2)] == (1, 2)


def test_a_repeated_seed_counts_once_by_its_first_trial(record: Make, numbered: Make) -> None:
    records = [record(5, numbered(1), 0, 0.9), record(2, numbered(1), 0, 0.6), record(1, numbered(0), 0, 0.5)]
    row = next(row for row in rank(records).rows if not row.is_plain)
    assert (row.iou_mean, row.n_seeds) == (0.6, 1)


def test_only_the_largest_budget_of_the_plain_u_net_counts(record: Make, numbered: Make) -> None:
    records = [
        record(0, numbered(0), 0, 0.3, steps=10),
        record(1, numbered(0), 0, 0.5, steps=100),
        record(2, numbered(1), 0, 0.6, steps=100),
        record(3, numbered(1), 0, 0.1, steps=10),
        record(4, numbered(1), 0, 0.9, steps=500),
        record(5, numbered(2), 0, 0.9, steps=500),
    ]
    ranking = rank(records)
    assert {row.placement: row.iou_mean for row in ranking.rows} == {numbered(0): 0.5, numbered(1): 0.6}
    assert ranking.budget is not None
    assert ranking.budget.steps == 100
    assert "4 complete trials of other budgets left out; ranked here: 100 steps" in ranking_notes(ranking)[0]


def test_a_longer_run_of_the_plain_u_net_alone_is_no_ranking(record: Make, numbered: Make) -> None:
    records = [
        record(0, numbered(0), 0, 0.5, steps=100),
        record(1, numbered(0), 0, 0.6, steps=200),
        record(2, numbered(1), 0, 0.4, steps=100),
    ]
    for some in (records, records[:2]):
        ranking = rank(some)
        assert ranking.budget is not None
        assert ranking.budget.steps == 100


def test_failed_running_and_unfinite_trials_are_not_ranked(record: Make, numbered: Make) -> None:
    records = [
        record(0, numbered(0), 0, 0.5),
        record(1, numbered(1), 0, None),
        record(2, numbered(2), 0, None, state=State.RUNNING),
        record(3, numbered(3), 0, float("nan")),
    ]
    ranking = rank(records)
    assert [row.placement for row in ranking.rows] == [numbered(0)]
    assert ranking_notes(ranking)[0] == "1 failed trial left out."
    assert ranking_verdict(ranking) == "Only the baseline was evaluated."


@pytest.mark.parametrize("only_failures", [False, True], ids=["empty", "only failures"])
def test_a_study_without_a_complete_trial_has_an_empty_ranking(
    record: Make, numbered: Make, only_failures: bool
) -> None:
    ranking = rank([record(0, numbered(0), 0, None)] if only_failures else [])
    assert ranking.rows == ()
    assert ranking.plain is None
    assert ranking.budget is None
    assert ranking_verdict(ranking) == "Nothing to rank: no trial is complete."


def test_without_the_plain_u_net_there_are_no_differences_and_a_note_says_so(table: Make, numbered: Make) -> None:
    scores = [[0.5, 0.6, 0.52, 0.57, 0.54], [0.55, 0.64, 0.56, 0.62, 0.58]]
    ranking = rank(table({numbered(1): dict(enumerate(scores[0])), numbered(2): dict(enumerate(scores[1]))}))
    assert [row.placement for row in ranking.rows] == [numbered(2), numbered(1)]
    assert all(row.delta is None and row.delta_interval is None for row in ranking.rows)
    assert all(row.better_than_baseline is Versus.UNKNOWN for row in ranking.rows)
    assert ranking.rows[0].iou_interval is not None
    assert "The baseline was not evaluated at this budget" in ranking_notes(ranking)[0]
    assert ranking_verdict(ranking).startswith("The baseline was not evaluated; first is ")


def test_a_placement_that_shares_no_seed_with_the_plain_u_net_has_no_difference(
    table: Make, numbered: Make
) -> None:
    ranking = rank(table({numbered(0): {0: 0.5}, numbered(1): {1: 0.9}, numbered(2): {0: 0.6}}))
    apart = next(row for row in ranking.rows if row.placement == numbered(1))
    assert apart.delta is None
    assert "1 of 3 placements share no seed with the baseline: their differences are not known." in ranking_notes(
        ranking
    )


def test_without_repeated_seeds_nothing_is_known_of_the_noise(table: Make, numbered: Make) -> None:
    ranking = rank(table({numbered(0): {0: 0.5}, numbered(1): {0: 0.6}}))
    plain, other = ranking.rows
    assert plain.is_plain
    assert other.delta == pytest.approx(0.1)
    assert other.delta_interval is None
    assert other.iou_interval is None
    assert other.tied_with_best is None
    assert other.better_than_baseline is Versus.UNKNOWN
    assert any("the noise is not known" in note for note in ranking_notes(ranking))
    assert ranking_verdict(ranking).startswith(
        "Undecided: no placement has been tested with several fresh seeds yet."
    )


@pytest.mark.parametrize(
    ("n_seeds", "note"),
    [
        (2, "The noise is estimated with 1 degree of freedom: with fewer than 3, intervals are not known."),
        (3, "The noise is estimated with 2 degrees of freedom: with fewer than 3, intervals are not known."),
        (4, None),
    ],
)
def test_below_three_degrees_of_freedom_no_interval_is_known(
    table: Make, numbered: Make, n_seeds: int, note: str | None
) -> None:
    """Two placements with n seeds tell the noise of their difference by n - 1 degrees of freedom."""
    scores = [[0.5, 0.6, 0.52, 0.57], [0.7, 0.81, 0.73, 0.76]]
    ranking = rank(table({numbered(p): dict(enumerate(scores[p][:n_seeds])) for p in range(2)}))
    (row,) = (row for row in ranking.rows if not row.is_plain)
    assert row.tested
    if note is None:
        assert row.delta_interval is not None
        assert row.better_than_baseline is Versus.BETTER
        return
    assert row.delta_interval is None
    assert row.iou_interval is None
    assert row.better_than_baseline is Versus.UNKNOWN
    assert row.tied_with_best in (True, None)
    assert note in ranking_notes(ranking)
    assert measured(row) == f"{100 * (row.delta or 0):+.1f} (not known)"
    assert ranking_verdict(ranking).startswith(
        "Undecided: there are too few runs to estimate the noise, so no gain is significant. Most promising is "
    )


def test_what_three_seeds_do_to_all_placements_tells_no_interval_of_an_iou(table: Make, numbered: Make) -> None:
    """The differences of four placements are known by six degrees of freedom, the seeds' effects by two."""
    wobble = [0.001, -0.002, 0.003, -0.001, 0.002]
    scores = {numbered(p): {s: 0.5 + 0.05 * s + wobble[(s + 2 * p) % 5] for s in range(3)} for p in range(4)}
    ranking = rank(table(scores))
    assert all(row.delta_interval is not None for row in ranking.rows)
    assert all(row.iou_interval is None for row in ranking.rows)
    assert (
        "What a seed does to all placements alike is estimated with fewer than 3 degrees of freedom: the interval "
        "of a placement's IoU by itself is not known."
    ) in ranking_notes(ranking)


def test_the_plain_u_net_differs_from_itself_by_nothing(table: Make, numbered: Make) -> None:
    ranking = rank(table({numbered(0): {0: 0.5, 1: 0.6}, numbered(1): {0: 0.55, 1: 0.64}}))
    assert ranking.plain is not None
    assert ranking.plain.delta == 0
    assert ranking.plain.delta_interval == Interval(0, 0)
    assert ranking.plain.better_than_baseline is Versus.NOT_DISTINGUISHABLE
    assert ranking.plain in ranking.rows


def test_identical_scores_are_tied_and_the_cheaper_comes_first(record: Make, numbered: Make) -> None:
    macs = {numbered(0): 100, numbered(1): 300, numbered(2): 200}
    runs = itertools.product(macs, range(3))
    ranking = rank([record(n, p, seed, 0.5 + 0.1 * seed, macs=macs[p]) for n, (p, seed) in enumerate(runs)])
    assert [row.cost.macs for row in ranking.rows] == [100, 200, 300]
    assert all(row.tied_with_best for row in ranking.rows)
    assert all(row.better_than_baseline is Versus.NOT_DISTINGUISHABLE for row in ranking.rows)
    assert [row.on_front for row in ranking.rows] == [True, False, False]


def test_what_noise_cannot_separate_from_the_first_is_tied_and_the_rest_is_not(
    table: Make, numbered: Make
) -> None:
    wobble = [0.004, -0.003, 0.001, -0.002]
    scores = {
        numbered(p): {s: level + 0.05 * s + wobble[(s + p) % 4] for s in range(4)}
        for p, level in enumerate([0.50, 0.560, 0.561, 0.52, 0.553])
    }
    ranking = rank(table(scores))
    tied = {row.placement: row.tied_with_best for row in ranking.rows}
    assert tied == dict(zip(map(numbered, range(5)), (False, True, True, False, False), strict=True))
    versus = {row.placement: row.better_than_baseline for row in ranking.rows}
    assert versus[numbered(3)] is Versus.BETTER


def test_ties_with_the_plain_u_net_are_what_the_printed_intervals_say(table: Make, numbered: Make) -> None:
    """One estimate for a pair: in 40 studies led by the plain U-Net no sign contradicts an interval."""
    compared = 0
    for number in range(40):
        draw = random.Random(number)
        scores = {numbered(p): {p % 3: 0.5 + draw.gauss(-0.004, 0.006)} for p in range(8, 40)}
        for p in range(8):
            level = 0.5 - (p > 0) * abs(draw.gauss(0.004, 0.004))
            scores[numbered(p)] = {seed: level + draw.gauss(0, 0.003) for seed in (0, 3, 4, 5, 6)}
        ranking = rank(table(scores, finals=frozenset({3, 4, 5, 6})))
        if not ranking.rows[0].is_plain:
            continue
        for row in ranking.rows[1:]:
            if row.delta_interval is not None:
                compared += 1
                assert row.tied_with_best is not row.delta_interval.excludes(0.0)
    assert compared > 60


def test_runs_with_two_common_seeds_tell_of_the_noise(table: Make, numbered: Make) -> None:
    scores = {numbered(p): {0: 0.5} for p in range(3, 9)}
    scores |= {numbered(0): {0: 0.50, 1: 0.60, 2: 0.62}, numbered(1): {0: 0.53, 1: 0.62}}
    ranking = rank(table(scores))
    # Differences 0.03 and 0.02: variance 0.01^2 / 2 with one degree of freedom.
    assert ranking.noise.pair is not None
    assert ranking.noise.pair.sd**2 == pytest.approx(0.01**2 / 2)
    assert ranking.noise.pair.degrees_of_freedom == 1


def test_the_runs_by_which_finalists_were_chosen_tell_of_the_noise_by_themselves(
    table: Make, numbered: Make
) -> None:
    """Not together with the finals' own, beside which they are too high: that would pass for noise."""
    draw, seeds = np.random.default_rng(0), range(6)
    levels = {numbered(0): 0.5, numbered(1): 0.54, numbered(2): 0.53}
    luck = {placement: 0.015 if placement.attended else 0.0 for placement in levels}
    scores = {
        placement: {s: level + luck[placement] * (s < 3) + 0.002 * draw.standard_normal() for s in seeds}
        for placement, level in levels.items()
    }
    noise = rank(table(scores, finals=frozenset(range(3, 6)))).noise
    of_finals_alone = {
        placement: {s: iou for s, iou in held.items() if s > 2 or not placement.attended}
        for placement, held in scores.items()
    }
    alone = rank(table(of_finals_alone, finals=frozenset(range(3, 6)))).noise
    assert noise.pair is not None
    assert alone.pair is not None
    assert noise.pair.degrees_of_freedom == 8  # of 18 runs by five levels and six seeds that hang together
    assert alone.pair.degrees_of_freedom == 4
    assert noise.pair.sd < 0.005


def test_a_placement_below_the_plain_u_net_is_called_worse(table: Make, numbered: Make) -> None:
    wobble = [0.001, -0.001, 0.002]
    scores = {numbered(p): {s: 0.6 - 0.1 * p + wobble[(s + p) % 3] for s in range(4)} for p in range(2)}
    ranking = rank(table(scores))
    assert ranking.rows[1].better_than_baseline is Versus.WORSE
    assert ranking_verdict(ranking).startswith(
        "No placement is significantly better than the baseline. First with attention"
    )


@pytest.mark.parametrize(
    ("cost", "front"), [("macs", {0, 1}), ("parameters", {1}), ("latency", {1, 2}), ("memory", set())]
)
def test_the_front_is_that_of_the_chosen_cost(record: Make, numbered: Make, cost: str, front: set[int]) -> None:
    records = [
        record(0, numbered(0), 0, 0.5, macs=10, parameters=10),
        record(1, numbered(1), 0, 0.7, macs=30, parameters=10, latency_ms=4.0),
        record(2, numbered(2), 0, 0.6, macs=40, parameters=20, latency_ms=3.0),
    ]
    ranking = rank(records, cost=cost)
    assert {row.placement for row in ranking.rows if row.on_front} == {numbered(p) for p in front}
    if cost in ("latency", "memory"):
        assert f"placements have no {cost}: they cannot be on the Pareto front." in ranking_notes(ranking)[-1]


def test_measured_times_are_the_median_and_memory_the_most_on_one_device(record: Make, numbered: Make) -> None:
    measured = [(3.0, 10.0, "gpu"), (1.0, 30.0, "gpu"), (2.0, 20.0, "gpu"), (900.0, 900.0, "cpu")]
    cost = (
        rank(
            [
                record(n, numbered(0), n, 0.5, latency_ms=ms, memory=mib, device=device)
                for n, (ms, mib, device) in enumerate(measured)
            ]
        )
        .rows[0]
        .cost
    )
    assert (cost.latency_ms, cost.peak_memory_mib, cost.device) == (2.0, 30.0, "gpu")


def test_a_reference_keeps_its_name(record: Make, numbered: Make) -> None:
    records = [
        record(0, numbered(0), 0, 0.5, reference="plain"),
        record(1, numbered(1), 0, 0.6),
        record(2, numbered(1), 1, 0.6, reference="se everywhere"),
        record(3, numbered(2), 0, 0.4),
    ]
    references = {row.placement: row.reference for row in rank(records).rows}
    assert references == {numbered(0): "plain", numbered(1): "se everywhere", numbered(2): None}


def test_wrong_arguments_are_named_together() -> None:
    with pytest.raises(UsageError) as caught:
        rank([], cost="mac", confidence=95)
    assert caught.value.problems == (
        "unknown cost 'mac'; did you mean 'macs'?",
        "confidence is 95; it must be above 0 and below 1, such as 0.95",
    )


def test_higher_confidence_widens_the_intervals(table: Make, numbered: Make) -> None:
    scores = [[0.5, 0.6, 0.52, 0.57], [0.55, 0.64, 0.56, 0.62]]
    records = table({numbered(p): dict(enumerate(by_seed)) for p, by_seed in enumerate(scores)})
    widths = []
    for confidence in (0.5, 0.9, 0.99):
        interval = rank(records, confidence=confidence).rows[0].delta_interval
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert widths == sorted(widths)
    assert widths[0] < widths[2]


def test_iou_intervals_stay_between_0_and_1(table: Make, numbered: Make) -> None:
    scores = [[0.1, 0.9, 0.2, 0.8, 0.5], [0.2, 0.8, 0.1, 0.9, 0.4]]
    records = table({numbered(p): dict(enumerate(by_seed)) for p, by_seed in enumerate(scores)})
    for row in rank(records, confidence=0.999).rows:
        assert row.iou_interval == Interval(0.0, 1.0)


SCORES = st.dictionaries(
    st.integers(0, 12), st.dictionaries(st.integers(0, 4), st.floats(0, 1), min_size=1), max_size=8
)


@settings(max_examples=60)
@given(scores=SCORES, seed=st.integers(0, 99))
def test_laws_hold_for_any_records(
    record: Make, numbered: Make, scores: dict[int, dict[int, float]], seed: int
) -> None:
    cells = [(p, s, iou) for p, by_seed in scores.items() for s, iou in by_seed.items()]
    records: list[TrialRecord] = [
        record(n, numbered(p), s, iou, macs=1000 + p % 3) for n, (p, s, iou) in enumerate(cells)
    ]
    ranking = rank(records)
    shuffled = list(records)
    random.Random(seed).shuffle(shuffled)
    assert rank(shuffled) == ranking
    assert {row.placement for row in ranking.rows} == {numbered(p) for p in scores}
    assert [row.rank for row in ranking.rows] == list(range(1, len(scores) + 1))
    first = [row.iou_expected for row in ranking.rows if row.tested or row.is_plain]
    others = [row.iou_expected for row in ranking.rows if not (row.tested or row.is_plain)]
    assert [row.iou_expected for row in ranking.rows] == [*sorted(first)[::-1], *sorted(others)[::-1]]
    assert all(math.isfinite(value) for value in (*first, *others))
    assert not ranking.rows or ranking.rows[0].tied_with_best is True
    assert not ranking.rows or any(row.on_front for row in ranking.rows)
    assert (ranking.plain is not None) == (0 in scores)
    for row in ranking.rows:
        if row.delta_interval is not None:
            assert row.delta is not None
            assert row.delta_interval.low <= row.delta <= row.delta_interval.high


@settings(max_examples=25)
@given(scores=SCORES.filter(lambda scores: 0 in scores), shift=st.floats(-0.05, 0.05), seed=st.integers(0, 4))
def test_what_a_seed_does_to_all_placements_changes_no_difference_where_all_ran_it(
    table: Make, numbered: Make, scores: dict[int, dict[int, float]], shift: float, seed: int
) -> None:
    full = {numbered(p): {s: 0.6 + by_seed.get(s, 0.5) / 100 for s in range(5)} for p, by_seed in scores.items()}
    moved = {p: {s: iou + shift * (s == seed) for s, iou in by_seed.items()} for p, by_seed in full.items()}
    before, after = rank(table(full)), rank(table(moved))
    one, other = ({row.placement: row.delta for row in ranking.rows} for ranking in (before, after))
    assert one.keys() == other.keys()
    assert all(one[p] == pytest.approx(other[p], abs=1e-9) for p in one)


def test_four_times_the_placements_take_four_times_the_work_and_memory(
    record: Make, numbered: Make, lines_run: Make, most_bytes: Make
) -> None:
    """What compares each placement with every other takes sixteen times as much."""

    def study(n_placements: int) -> list[TrialRecord]:
        draw, placements = random.Random(0), [numbered(p) for p in range(n_placements)]
        records = [record(n, p, 0, draw.random()) for n, p in enumerate(placements)]
        for seed in range(1, 6):
            records += [record(len(records) + n, p, seed, draw.random()) for n, p in enumerate(placements[:20])]
        return records

    few, many = study(500), study(2000)
    rank(few)  # what is kept from one ranking to the next
    for measure in (lines_run, most_bytes):
        assert measure(rank, many) < 6 * measure(rank, few)


def test_placements_screened_with_different_seeds_are_compared_by_their_paired_differences(
    table: Make, numbered: Make
) -> None:
    """Seed 1 adds 0.1 to everything: what ran with it does not lead for that."""
    scores = {numbered(p): {p % 2: 0.50 + 0.1 * (p % 2) - 0.002 * p} for p in range(2, 12)}
    scores[numbered(0)] = {0: 0.49, 1: 0.59, 2: 0.52, 3: 0.52}
    scores[numbered(1)] = {1: 0.61, 0: 0.50, 2: 0.54, 3: 0.54}
    ranking = rank(table(scores, finals=frozenset({2, 3})))
    attended = [row.placement for row in ranking.rows if row.placement.attended]
    assert all(abs(attended.index(numbered(p)) - (p - 1)) <= 2 for p in range(1, 12))
    first = ranking.rows[0]
    assert (first.seeds, first.delta) == ((2, 3), pytest.approx(0.02))


def test_a_placement_that_collapses_now_and_then_is_not_the_best(table: Make, numbered: Make) -> None:
    """It gains a point in four of five runs, and another one half a point in all."""
    draw = random.Random(5)
    scores = {numbered(p): {s: 0.8 + draw.gauss(0, 0.002) for s in range(1, 6)} for p in range(9)}
    for seed in range(1, 6):
        scores[numbered(1)][seed] += 0.010
        scores[numbered(2)][seed] += 0.005
    whole = rank(table(scores, finals=frozenset(range(1, 6))))
    scores[numbered(1)][3] -= 0.3
    ranking = rank(table(scores, finals=frozenset(range(1, 6))))
    fallen = next(row for row in ranking.rows if row.placement == numbered(1))

    assert whole.rows[0].placement == numbered(1)
    assert ranking.rows[0].placement == numbered(2)
    assert (fallen.n_collapsed, fallen.n_runs, fallen.n_seeds) == (1, 5, 4)
    assert fallen.delta == pytest.approx(0.01, abs=0.004)
    assert fallen.better_than_baseline is not Versus.BETTER
    assert ranking.noise.pair is not None
    assert whole.noise.pair is not None
    assert ranking.noise.pair.sd == pytest.approx(whole.noise.pair.sd, rel=0.2)
    assert any("se at encoder.0 in 1 of 5" in note for note in ranking_notes(ranking))


def test_a_seed_under_which_the_plain_u_net_collapsed_compares_nothing(table: Make, numbered: Make) -> None:
    """All end thirty points below with seed 2, some more, some less: no gain of what fell least."""
    draw = random.Random(6)
    scores = {numbered(p): {0: 0.82 + draw.gauss(0, 0.002)} for p in range(20)}
    for p in range(4):
        scores[numbered(p)] |= {s: 0.82 + draw.gauss(0, 0.002) for s in (1, 3)} | {2: 0.5 + 0.02 * p}
    ranking = rank(table(scores))

    assert ranking.collapsed_seeds == (2,)
    assert (
        "The baseline collapsed with seed 2 (a collapsed run ended far below what its seed and its "
        "placement lead one to expect): no comparison uses it, because a difference to a failed training means "
        "nothing."
    ) in ranking_notes(ranking)
    assert all(2 not in row.seeds for row in ranking.rows)
    assert not any(row.better_than_baseline is Versus.BETTER for row in ranking.rows)


def test_a_class_in_few_images_comes_with_a_warning(record: Make, numbered: Make) -> None:
    unions = np.full((8, 2), 400)
    unions[2:, 1] = 0
    records = []
    for p, seed in itertools.product(range(3), range(3)):
        made = record(len(records), numbered(p), seed, 0.5)
        score = replace(made.outcome.score, counts=ImageCounts.of(unions // 2, unions))
        records.append(replace(made, outcome=replace(made.outcome, score=score)))
    warning = "A class occurs in only 2 of 8 groups of validation images: intervals over so few images "
    assert any(note.startswith(warning) for note in ranking_notes(rank(records)))


def test_a_ranking_says_on_how_many_runs_its_gains_rest(
    record: Make, numbered: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [record(n, numbered(n), 0, 0.5 + n / 100) for n in range(6)]
    assert not any("Gains are estimated from" in note for note in ranking_notes(rank(records)))
    monkeypatch.setattr("nas_attn.wording.rankings.MOST_RUNS", 5)
    assert any(note.startswith("Gains are estimated from 5 of 6 runs") for note in ranking_notes(rank(records)))
