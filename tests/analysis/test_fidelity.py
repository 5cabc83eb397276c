"""Ladders whose short runs do, or do not, predict the long ones."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nas_attn.analysis import Interval, RungFidelity, ladder_fidelity
from nas_attn.analysis.fidelity import spearman, spearman_interval
from nas_attn.record import TrialRecord
from nas_attn.wording.budgets import correlation_sentence, fidelity_sentences

Make = Callable[..., Any]
VALUES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=20)


def ladder(record: Make, numbered: Make, *rungs: tuple[int, Sequence[float]]) -> list[TrialRecord]:
    """One run with seed 0 for each placement and rung; nan leaves a run out."""
    runs = [(steps, p, iou) for steps, ious in rungs for p, iou in enumerate(ious) if not math.isnan(iou)]
    return [record(n, numbered(p), 0, iou, steps=steps) for n, (steps, p, iou) in enumerate(runs)]


@given(pairs=VALUES)
def test_the_rank_correlation_is_scipys_with_ties(pairs: list[tuple[int, int]]) -> None:
    one, other = zip(*pairs, strict=True)
    if len(set(one)) > 1 and len(set(other)) > 1:
        assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)
    else:
        assert spearman(one, other) == 0.0


@pytest.mark.parametrize("number", [10, 40])
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_intervals_cover_the_true_rank_correlation(number: int, correlation: float) -> None:
    """Of normal scores with correlation r it is 6 / pi asin(r / 2)."""
    generator = np.random.default_rng(number)
    truth = 6 / math.pi * math.asin(correlation / 2)
    covered = []
    for _ in range(1000):
        x, noise = generator.standard_normal((2, number))
        interval = spearman_interval(
            spearman(x, correlation * x + math.sqrt(1 - correlation**2) * noise), number, 0.95
        )
        assert interval is not None
        covered.append(interval.low <= truth <= interval.high)
    assert 0.93 <= np.mean(covered) <= 0.975


def test_a_perfect_order_of_few_placements_is_not_certain() -> None:
    interval = spearman_interval(1.0, 5, 0.95)
    assert interval is not None
    assert interval.low < 0.9
    assert interval.high < 1.0


def test_each_rung_is_compared_with_the_next_longer_one(record: Make, numbered: Make) -> None:
    short, middle, long = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.1, 0.3, 0.2, 0.4, 0.6, 0.5], [0.6, 0.5, 0.4, 0.3, 0.2]
    records = ladder(record, numbered, (900, long), (100, short), (300, middle))
    first, second = ladder_fidelity(records)
    assert (first.lower.steps, first.upper.steps, first.n_placements, first.n_runs) == (100, 300, 6, 6)
    assert first.correlation == pytest.approx(stats.spearmanr(short, middle).statistic)
    assert (second.lower.steps, second.upper.steps, second.n_placements) == (300, 900, 5)
    assert second.correlation == pytest.approx(stats.spearmanr(middle[:5], long).statistic)


def test_only_runs_with_the_same_seed_are_compared_and_a_loud_seed_says_nothing(
    record: Make, numbered: Make
) -> None:
    """Placements 0-3 have seed 0, placements 3-6 seed 1, which adds 30 points; placement 7 shares no seed."""
    levels = [0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.9]
    cells = [(p, 0) for p in range(4)] + [(p, 1) for p in range(3, 7)]
    short = [(100, p, s, levels[p] - 0.3 * s) for p, s in cells] + [(100, 7, 0, 0.9)]
    long = [(300, p, s, levels[p] + 0.3 * s) for p, s in cells] + [(300, 7, 1, 0.0)]
    records = [record(n, numbered(p), s, iou, steps=steps) for n, (steps, p, s, iou) in enumerate(short + long)]
    (fidelity,) = ladder_fidelity(records)
    assert (fidelity.n_placements, fidelity.n_runs) == (7, 8)
    assert fidelity.correlation == pytest.approx(1.0)


def test_references_at_other_budgets_and_failures_make_no_rung(record: Make, numbered: Make) -> None:
    nan = math.nan
    records = ladder(record, numbered, (50, [0.4]), (100, [0.1, 0.2, 0.3, 0.4]), (200, [0.5, nan, 0.4]))
    records += [record(90 + p, numbered(p), 0, None, steps=200) for p in (1, 3)]
    assert ladder_fidelity(records) == ()


@pytest.mark.parametrize(
    ("interval", "predicts", "words"),
    [
        ((0.1, 0.9), True, None),
        ((-0.4, 0.3), False, "Runs of 100 steps did not predict runs of 300"),
        ((-0.4, 0.8), None, "12 placements run at both are too few to tell whether 100 steps predict 300"),
        (None, None, "too few to tell"),
    ],
)
def test_a_warning_where_short_runs_are_not_shown_to_predict(
    record: Make, numbered: Make, interval: tuple[float, float] | None, predicts: bool | None, words: str | None
) -> None:
    lower, upper = (record(0, numbered(0), 0, 0.5, steps=steps).budget for steps in (100, 300))
    fidelity = RungFidelity(lower, upper, 12, 12, 0.2, None if interval is None else Interval(*interval))
    assert fidelity.predicts is predicts
    correlation, *cautions = fidelity_sentences(fidelity)
    assert len(cautions) == (words is not None)
    assert words is None or words in cautions[0]
    assert correlation.startswith("From 100 steps to 300 steps")
    assert ("(" in correlation) == (interval is not None)


def test_noisy_ladders_are_told_from_faithful_ones(record: Make, numbered: Make) -> None:
    draw = random.Random(1)
    truth = [draw.gauss(0.6, 0.01) for _ in range(40)]
    long = [iou + draw.gauss(0, 0.003) for iou in truth]
    faithful = [iou - 0.2 + draw.gauss(0, 0.005) for iou in truth]
    useless = [0.3 + draw.gauss(0, 0.02) for _ in truth]
    assert ladder_fidelity(ladder(record, numbered, (100, faithful), (300, long)))[0].predicts is True
    assert ladder_fidelity(ladder(record, numbered, (100, useless), (300, long)))[0].predicts is False


def repeated(record: Make, numbered: Make, noise: float, draw: random.Random) -> list[TrialRecord]:
    """Long runs of 40 placements, six of them with four more seeds, and short runs that show the truth."""
    truth = [draw.gauss(0.6, 0.01) for _ in range(40)]
    cells = [(p, s) for p in range(40) for s in range(5 if p < 6 else 1)]
    long = [(300, p, s, truth[p] + 0.02 * s + draw.gauss(0, noise)) for p, s in cells]
    short = [(100, p, 0, truth[p]) for p in range(40)]
    return [record(n, numbered(p), s, iou, steps=steps) for n, (steps, p, s, iou) in enumerate(short + long)]


@pytest.mark.parametrize("noise", [0.002, 0.01])
def test_a_perfect_forecast_reaches_what_is_said_to_be_attainable(
    record: Make, numbered: Make, noise: float
) -> None:
    draw = random.Random(2)
    found = [ladder_fidelity(repeated(record, numbered, noise, draw))[0] for _ in range(40)]
    most = [fidelity.attainable for fidelity in found if fidelity.attainable is not None]
    assert len(most) == 40
    reliability = 0.01**2 / (0.01**2 + noise**2)
    assert np.square(most).mean() == pytest.approx(reliability, abs=0.06)
    assert np.mean([fidelity.correlation for fidelity in found]) == pytest.approx(math.sqrt(reliability), abs=0.03)
    assert f"would show {found[0].attainable:+.2f}" in correlation_sentence(found[0])


def test_where_little_was_repeated_nothing_is_said_of_what_is_attainable(record: Make, numbered: Make) -> None:
    """Two placements with two seeds leave one degree of freedom."""
    rungs = ladder(record, numbered, (100, [0.1, 0.2, 0.3, 0.4]), (300, [0.2, 0.3, 0.4, 0.5]))
    rungs += [record(90 + p, numbered(p), 1, 0.3 + 0.1 * p, steps=300) for p in (0, 1)]
    (fidelity,) = ladder_fidelity(rungs)
    assert fidelity.attainable is None
    assert "perfect" not in correlation_sentence(fidelity)
