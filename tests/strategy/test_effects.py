"""The model of effects against Gaussian-process regression written out, and what it makes of planted effects."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from nas_attn.strategy import effects as _effects
from nas_attn.strategy import normal_equations as _normal
from nas_attn.strategy.effects import Effects
from nas_attn.strategy.robust_scale import Bend, bent
from nas_attn.strategy.runs import RungRuns
from nas_attn.strategy.variances import RungVariances, Short, likely_variances

STAGES = np.array([0, 0, 1])
N_SPECS = 3
VARIANCES = RungVariances(
    kind=0.3,
    stage=0.2,
    location=0.5,
    pair=2.0,
    by_seed=0.8,
    noise=0.25,
    short=(Short(0.6, 0.7, 0.5), Short(1.3, 0.4, 0.1)),
)


def runs_of(number: int, seed: int = 0, n_seeds: int = 2, rungs: Sequence[int] = (0,)) -> RungRuns:
    random = np.random.default_rng(seed)
    codes, seeds = random.integers(0, N_SPECS, (number, 3)), random.integers(0, n_seeds, number)
    ious, rung = 0.8 + 0.05 * random.normal(size=number), np.resize(rungs, number)
    return RungRuns(codes, STAGES, seeds + n_seeds * rung, rung, ious, N_SPECS)


@dataclass(frozen=True)
class Run:
    """One run, or the mean over seeds of a placement at the top (seed -1)."""

    codes: tuple[int, ...]
    seed: int
    rung: int


def seen_by(runs: RungRuns) -> list[Run]:
    columns = zip(runs.codes.tolist(), runs.seeds.tolist(), runs.rungs.tolist(), strict=True)
    return [Run(tuple(codes), seed, rung) for codes, seed, rung in columns]


def slow_kernel(one: Run, other: Run, variances: RungVariances) -> float:
    """The covariance of two scores, term by term as the model is stated, without their noise."""
    gain, other_gain = ([1.0, *(rung.gain for rung in variances.short)][run.rung] for run in (one, other))
    level = 10.0 * (one.rung == other.rung == 0) + 10.0 * (one.seed == other.seed)
    total = bias = 0.0
    shared = 0
    for (i, a), (j, b) in itertools.product(enumerate(one.codes), enumerate(other.codes)):
        if a == b != 0:
            total += variances.kind / 3
            total += variances.stage / 3 if STAGES[i] == STAGES[j] else 0.0
            total += variances.location / 3 if i == j else 0.0
            shared += i == j
    total += variances.pair * shared * (shared - 1) / 6
    total += variances.by_seed * shared / 3 if one.seed == other.seed else 0.0
    if one.rung == other.rung > 0:
        bias = variances.short[one.rung - 1].bias * shared / 3
    return level + gain * other_gain * total + bias


def noise_of(run: Run, variances: RungVariances) -> float:
    return variances.noise if run.rung == 0 else variances.short[run.rung - 1].noise


def covariance_of(runs: RungRuns, variances: RungVariances) -> np.ndarray:
    seen = seen_by(runs)
    kernel = np.array([[slow_kernel(one, other, variances) for other in seen] for one in seen])
    return kernel + np.diag([noise_of(run, variances) for run in seen])


def less_plain(one: Run, other: Run, variances: RungVariances) -> float:
    """Covariance with a placement's score less the plain U-Net's: it holds nothing of level and seed."""
    return slow_kernel(one, other, variances) - slow_kernel(replace(one, codes=(0, 0, 0)), other, variances)


@pytest.mark.parametrize("rungs", [(0,), (0, 1), (2, 0, 0, 1)], ids=["one budget", "one rung", "two rungs"])
@pytest.mark.parametrize("pair", [2.0, 0.0], ids=["pairs", "none, in blocks"])
def test_scores_are_those_of_gaussian_process_regression(
    monkeypatch: pytest.MonkeyPatch, rungs: Sequence[int], pair: float
) -> None:
    """In blocks luck and biases are linear terms, not covariances; what is expected is the same."""
    variances = replace(VARIANCES, pair=pair)
    monkeypatch.setattr(_effects, "MOST_FOR_PAIRS", 14 if pair else 13)
    monkeypatch.setattr(_normal, "_BLOCK", 4)
    monkeypatch.setattr(_effects, "likely_variances", lambda runs: variances)
    runs = runs_of(14, rungs=rungs)
    weights = np.linalg.solve(covariance_of(runs, variances), runs.scores)
    effects = Effects.learn(runs)
    assert (effects.whitener is None) == (pair == 0)

    asked = [Run(codes, -1, 0) for codes in itertools.product(range(N_SPECS), repeat=3)]
    mine = effects.score(np.array([run.codes for run in asked]), effects.mean)
    across = [[less_plain(run, other, variances) for other in seen_by(runs)] for run in asked]
    truth = np.array(across) @ weights
    assert mine - mine[0] == pytest.approx(truth, abs=1e-6)


def test_with_too_many_columns_luck_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The biases of short runs are not: what these hold against a module no number of them averages out."""
    variances = replace(VARIANCES, pair=0.0)
    monkeypatch.setattr(_effects, "MOST_FOR_PAIRS", 0)
    monkeypatch.setattr(_normal, "MOST_COLUMNS", 1 + 4 + 2 * (1 + 2 + 3) + 4 * 6)
    monkeypatch.setattr(_effects, "likely_variances", lambda runs: variances)
    runs = runs_of(14, rungs=(0, 1))
    without = replace(variances, by_seed=0.0)
    weights = np.linalg.solve(covariance_of(runs, without), runs.scores)
    asked = [Run(codes, -1, 0) for codes in itertools.product(range(N_SPECS), repeat=3)]
    effects = Effects.learn(runs)
    mine = effects.score(np.array([run.codes for run in asked]), effects.mean)
    across = [[less_plain(run, other, without) for other in seen_by(runs)] for run in asked]

    assert mine == pytest.approx(np.array(across) @ weights, abs=1e-6)


def test_draws_scatter_around_the_mean_as_the_posterior_says() -> None:
    effects = Effects.learn(runs_of(20))
    random = np.random.default_rng(1)
    draws = np.array([effects.draw(random) for _ in range(4000)])
    covariance = np.linalg.inv(effects.factor @ effects.factor.T)

    sd = np.sqrt(np.diag(covariance))
    assert np.abs((draws.mean(0) - effects.mean) / sd).max() < 0.1
    assert draws.std(0) / sd == pytest.approx(np.ones(len(sd)), abs=0.1)


def test_scores_are_drawn_from_the_posterior_of_gaussian_process_regression(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Mean, spread and correlation over many draws of effects and pairs, against the formula written out."""
    monkeypatch.setattr(_effects, "likely_variances", lambda runs: VARIANCES)
    runs = runs_of(12, rungs=(0, 0, 1, 2))
    asked = [Run(codes, -1, 0) for codes in ((1, 1, 1), (1, 2, 1), (2, 2, 2), (0, 1, 2))]
    draws = Effects.learn(runs).draws(np.array([run.codes for run in asked]), 6000, np.random.default_rng(3))

    def among(one: Run, other: Run) -> float:
        plain = replace(other, codes=(0, 0, 0))
        return less_plain(one, other, VARIANCES) - less_plain(one, plain, VARIANCES)

    kernel = covariance_of(runs, VARIANCES)
    across = np.array([[less_plain(one, other, VARIANCES) for other in seen_by(runs)] for one in asked])
    mean = across @ np.linalg.solve(kernel, runs.scores)
    own = np.array([[among(one, replace(other, seed=-2)) for other in asked] for one in asked])
    covariance = own - across @ np.linalg.solve(kernel, across.T)
    sd = np.sqrt(np.diag(covariance))

    assert np.abs((draws.mean(0) - mean) / sd).max() < 0.06
    assert draws.std(0) / sd == pytest.approx(np.ones(4), abs=0.05)
    assert np.corrcoef(draws.T) == pytest.approx(covariance / np.outer(sd, sd), abs=0.05)


def test_one_draw_is_the_first_of_many() -> None:
    effects = Effects.learn(runs_of(12, rungs=(0, 1)))
    codes = np.array([[1, 1, 1], [2, 0, 1]])
    one, many = np.random.default_rng(0), np.random.default_rng(0)

    assert effects.score(codes, effects.draw(one), one) == pytest.approx(effects.draws(codes, 1, many)[0])


def test_values_add_up_to_the_score_without_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_effects, "MOST_FOR_PAIRS", 0)
    effects = Effects.learn(runs_of(20))
    values = effects.values(effects.mean)
    codes = np.array(list(itertools.product(range(N_SPECS), repeat=3)))

    assert (values[:, 0] == 0).all()
    summed = values[np.arange(3), codes].sum(1)
    assert effects.score(codes, effects.mean) == pytest.approx(summed)


def planted(number: int, noise: float) -> tuple[RungRuns, np.ndarray]:
    """Effects at 13 locations of 8 attentions, and a seed that adds ten points."""
    random = np.random.default_rng(5)
    truth = np.column_stack([np.zeros(13), random.normal(0, 0.01, (13, 7))])
    codes = random.integers(0, 8, (number, 13))
    seeds = random.integers(0, 2, number)
    ious = 0.7 + truth[np.arange(13), codes].sum(1) + 0.1 * seeds + noise * random.normal(size=number)
    stages, rungs = np.repeat(np.arange(4), (4, 1, 4, 4)), np.zeros(number, dtype=np.int64)
    return RungRuns(codes, stages, seeds, rungs, ious, 8), truth


def test_planted_effects_are_found_through_noise_and_seeds() -> None:
    runs, truth = planted(300, noise=0.01)
    effects = Effects.learn(runs)

    assert np.corrcoef(effects.values(effects.mean)[:, 1:].ravel(), truth[:, 1:].ravel())[0, 1] > 0.9


def test_more_noise_is_recognised() -> None:
    """As a share of the variance that is left when the seeds are known."""
    quiet, loud = (Effects.learn(planted(300, noise)[0]).variances for noise in (0.003, 0.06))

    assert loud.noise / (loud.kind + loud.location) > 4 * quiet.noise / (quiet.kind + quiet.location)


def two_rungs(number: int, gain: float, bias: float, seed: int = 7) -> tuple[RungRuns, np.ndarray]:
    """Nine of ten runs are short ones, with little noise, that show the effects times a gain and their own."""
    random = np.random.default_rng(seed)
    truth, own = (np.column_stack([np.zeros(7), random.normal(0, 0.01, (7, 4))]) for _ in range(2))
    codes, rungs = random.integers(0, 5, (number, 7)), np.minimum(np.arange(number) % 10, 1)
    shown = truth[np.arange(7), codes].sum(1)
    short = 0.6 + gain * shown + bias * own[np.arange(7), codes].sum(1) + 0.004 * random.normal(size=number)
    ious = np.where(rungs == 0, 0.8 + shown + 0.02 * random.normal(size=number), short)
    return RungRuns(codes, np.repeat(np.arange(4), (2, 1, 2, 2)), rungs, rungs, ious, 5), truth


def test_short_runs_that_show_the_truth_are_believed() -> None:
    runs, truth = two_rungs(200, gain=0.5, bias=0.0)
    long = {name: getattr(runs, name)[runs.rungs == 0] for name in ("codes", "seeds", "rungs", "ious")}
    all_, alone = (
        np.corrcoef(effects.values(effects.mean)[:, 1:].ravel(), truth[:, 1:].ravel())[0, 1]
        for effects in map(Effects.learn, (runs, replace(runs, **long)))
    )

    assert all_ > 0.95
    assert alone < 0.8


def test_what_short_runs_hold_against_a_module_passes_for_no_knowledge(monkeypatch: pytest.MonkeyPatch) -> None:
    """They show half of each effect and as much of their own: errors are as large as the posterior says."""

    def surprise() -> float:
        """Root mean square of errors over their standard deviations; 1 where the posterior is right."""
        found = []
        for seed in range(12):
            runs, truth = two_rungs(200, gain=0.5, bias=0.5, seed=seed)
            random = np.random.default_rng(seed)
            codes = np.vstack([np.zeros(7, dtype=np.int64), random.integers(0, 5, (20, 7))])
            draws = Effects.learn(runs).draws(codes, 200, random)
            differences = (draws - draws[:, :1])[:, 1:]
            true = truth[np.arange(7), codes[1:]].sum(1) / Bend.of(runs.ious[runs.rungs == 0]).spread
            found.append(np.mean(((differences.mean(0) - true) / differences.std(0)) ** 2))
        return float(np.mean(found) ** 0.5)

    assert surprise() < 1.25
    monkeypatch.setattr(
        _effects, "likely_variances", lambda runs: replace(likely_variances(runs), short=(Short(0.7, 1e-6, 0.2),))
    )
    assert surprise() > 1.6


def test_variances_of_rungs_without_runs_are_the_usual_ones() -> None:
    runs = runs_of(12)
    longest_last = replace(runs, rungs=np.array([0] * 11 + [2]), seeds=np.array([0] * 11 + [1]))

    assert likely_variances(longest_last).short == (Short(), Short())
    assert likely_variances(runs).short == ()


def test_a_collapsed_run_does_not_drown_the_others() -> None:
    ious = np.array([0.85, 0.86, 0.84, 0.855, 0.845, 0.4, math.nan])
    scores = bent(ious)

    order = np.argsort(scores).tolist()
    assert order == [6, 5, 2, 4, 0, 3, 1]
    assert -10 < scores[5] < -2
    assert scores[6] == scores[5] - 1
    assert scores[:5] == pytest.approx((ious[:5] - np.median(ious[:6])) / ((0.85375 - 0.84125) / 1.35), rel=0.2)


@pytest.mark.parametrize("ious", [[], [0.5], [0.5, 0.5, 0.5], [math.nan, math.nan]])
def test_scores_of_nothing_or_of_equals_are_0(ious: list[float]) -> None:
    assert bent(np.array(ious)).tolist() == [0.0] * len(ious)
