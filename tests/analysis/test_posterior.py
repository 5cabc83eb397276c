"""The posterior of all gains against Gaussian-process regression written out, and planted effects."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import pytest

from nas_attn.analysis import posterior as posterior_module
from nas_attn.analysis import variances as variances_module
from nas_attn.analysis.effect_estimates import added, pairs
from nas_attn.analysis.effect_model import (
    NOTHING,
    PARTS,
    SCEPTICAL,
    USUAL,
    Kernels,
    Prior,
    Runs,
    Short,
    Variances,
    choices_of,
)
from nas_attn.analysis.gains import gains_of
from nas_attn.analysis.posterior import Posterior
from nas_attn.analysis.variances import GainVariances, likeliest_variances
from nas_attn.models.placement import Placement

Make = Callable[..., Any]
N_LOCATIONS, N_SPECS = 3, 3
VARIANCES = Variances(
    common=0.6,
    kind=0.3,
    location=0.5,
    pair=2.0,
    rest=0.4,
    by_seed=0.8,
    noise=0.25,
    short=(Short(0.6, 0.7, 0.5), Short(1.3, 0.4, 0.1)),
)
ASKED = [(1, 1, 1), (1, 2, 1), (2, 2, 2), (0, 1, 2)]


def runs_of(number: int, rungs: Sequence[int] = (0,), n_seeds: int = 2) -> Runs:
    """Random ones in which every attention stands everywhere, and the placements that are asked for come last."""
    random = np.random.default_rng(0)
    codes = random.integers(0, N_SPECS, (number, N_LOCATIONS))
    codes[:2], codes[-4:] = [[1, 1, 1], [2, 2, 2]], ASKED
    seeds, rung = random.integers(0, n_seeds, number), np.resize(rungs, number)
    doubts = np.where(np.arange(number) == number - 2, 3.0, 0.0)
    return Runs(codes, seeds + n_seeds * rung, rung, random.normal(size=number), doubts)


@dataclass(frozen=True)
class Run:
    """One run, or the mean over seeds of a placement at the top (seed -1)."""

    codes: tuple[int, ...]
    seed: int
    rung: int


def seen_by(runs: Runs) -> list[Run]:
    columns = zip(runs.codes.tolist(), runs.seeds.tolist(), runs.rungs.tolist(), strict=True)
    return [Run(tuple(codes), seed, rung) for codes, seed, rung in columns]


def slow_kernel(one: Run, other: Run, variances: Variances) -> float:
    """The covariance of two scores, term by term as the model is stated, without their noise."""
    gain, other_gain = ([1.0, *(rung.gain for rung in variances.short)][run.rung] for run in (one, other))
    level = 100.0 + 100.0 * (one.seed == other.seed)
    total = bias = 0.0
    shared = 0
    for (i, a), (j, b) in itertools.product(enumerate(one.codes), enumerate(other.codes)):
        if a == b != 0:
            total += variances.kind / 3
            total += variances.location / 3 if i == j else 0.0
            shared += i == j
    total += variances.pair * shared * (shared - 1) / 6
    total += variances.common if any(one.codes) and any(other.codes) else 0.0
    total += variances.rest if one.codes == other.codes and any(one.codes) else 0.0
    total += variances.by_seed * shared / 3 if one.seed == other.seed else 0.0
    if one.rung == other.rung > 0:
        bias = variances.short[one.rung - 1].bias * shared / 3
    return level + gain * other_gain * total + bias


def noise_of(run: Run, variances: Variances) -> float:
    return variances.noise if run.rung == 0 else variances.short[run.rung - 1].noise


def covariance_of(runs: Runs, variances: Variances) -> np.ndarray:
    seen = seen_by(runs)
    kernel = np.array([[slow_kernel(one, other, variances) for other in seen] for one in seen])
    return kernel + np.diag([noise_of(run, variances) for run in seen]) + np.diag(runs.doubts)


def less_plain(one: Run, other: Run, variances: Variances) -> float:
    """Covariance with a placement's score less the plain U-Net's: it holds nothing of level and seed."""
    return slow_kernel(one, other, variances) - slow_kernel(replace(one, codes=(0, 0, 0)), other, variances)


def gains_by_regression(runs: Runs, variances: Variances) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the gains that are asked for."""
    asked = [Run(codes, -1, 0) for codes in ASKED]
    kernel = covariance_of(runs, variances)
    across = np.array([[less_plain(one, other, variances) for other in seen_by(runs)] for one in asked])
    own = [
        [
            less_plain(one, other, variances) - less_plain(one, replace(other, codes=(0, 0, 0)), variances)
            for other in (replace(one, seed=-2) for one in asked)
        ]
        for one in asked
    ]
    return across @ np.linalg.solve(kernel, runs.scores), own - across @ np.linalg.solve(kernel, across.T)


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> Callable[[Runs, Variances], Posterior]:
    """The posterior for given variances, in which all own effects are usual ones."""

    def learn(runs: Runs, variances: Variances) -> Posterior:
        choices = tuple(choices_of(runs.codes))
        scales = np.full((1, len(choices)), variances.location / N_LOCATIONS)
        known = GainVariances(variances, NOTHING)
        monkeypatch.setattr(GainVariances, "of", classmethod(lambda cls, *given: known))
        monkeypatch.setattr(posterior_module, "_scales", lambda *given: scales)
        posterior_module._whitened.cache_clear()
        return Posterior.learn(runs, choices, runs, {}, len(variances.short), USUAL)

    return learn


@pytest.mark.parametrize("rungs", [(0,), (0, 1), (2, 0, 0, 1)], ids=["one budget", "one rung", "two rungs"])
@pytest.mark.parametrize("block", [64, 4], ids=["at once", "in blocks"])
def test_gains_are_drawn_from_the_posterior_of_gaussian_process_regression(
    monkeypatch: pytest.MonkeyPatch, learned: Make, rungs: Sequence[int], block: int
) -> None:
    """Mean, spread and correlation over many draws of all terms, against the formula written out."""
    monkeypatch.setattr(posterior_module, "_BLOCK", block)
    runs = runs_of(14, rungs)
    known = learned(runs, VARIANCES)
    codes = np.array(ASKED)
    draws = np.array([drawn.gains_tried(codes) for drawn in known.draws(4000, np.random.default_rng(3))])
    mean, covariance = gains_by_regression(runs, VARIANCES)
    sd = np.sqrt(np.diag(covariance))

    assert np.abs((draws.mean(0) - mean) / sd).max() < 0.07
    assert draws.std(0) / sd == pytest.approx(np.ones(4), abs=0.06)
    assert np.corrcoef(draws.T) == pytest.approx(covariance / np.outer(sd, sd), abs=0.06)
    in_closed_form = known.known(codes).T @ known.left + known.runs.holds(known.choices)[-4:] @ known.own.mean
    assert in_closed_form == pytest.approx(mean, abs=1e-6)


def test_what_no_run_holds_is_as_uncertain_as_the_prior(learned: Make) -> None:
    known, further = learned(runs_of(14), VARIANCES), (2, 7)
    drawn = [known.draw(np.random.default_rng(seed), [further]) for seed in range(3000)]
    draws = [one.singles[one.choices.index(further)] for one in drawn]
    assert np.mean(draws) == pytest.approx(0.0, abs=0.03)
    assert np.var(draws) == pytest.approx((VARIANCES.kind + VARIANCES.location) / 3, rel=0.1)


def test_what_attentions_and_pairs_add_is_the_average_of_drawn_gains(learned: Make) -> None:
    """Over all that other locations may hold: where that is nothing, a first attention brings the common gain."""
    known = learned(runs_of(14), VARIANCES)
    codes = np.array([*itertools.product(range(N_SPECS), repeat=N_LOCATIONS)])
    gains = np.array([drawn.gains(codes) for drawn in known.draws(4000, np.random.default_rng(3))])
    with_none = {code.tobytes(): number for number, code in enumerate(codes)}

    def without(*places: int) -> list[int]:
        return [with_none[np.where(np.isin(range(N_LOCATIONS), places), 0, code).tobytes()] for code in codes]

    def check(estimates: list[tuple[float, float]], draws: list[np.ndarray]) -> None:
        for (mean, sd), drawn in zip(estimates, draws, strict=True):
            assert drawn.mean() == pytest.approx(mean, abs=0.07 * sd)
            assert drawn.std() == pytest.approx(sd, rel=0.06)

    singles = [(0, 1), (1, 2), (2, 1)]
    adds = [(gains - gains[:, without(place)])[:, codes[:, place] == code].mean(1) for place, code in singles]
    check(added(known, singles), adds)

    both = [((0, 1), (2, 1)), ((0, 2), (1, 2))]
    more = []
    for (one, first), (other, second) in both:
        together = gains - gains[:, without(one)] - gains[:, without(other)] + gains[:, without(one, other)]
        more.append(together[:, (codes[:, one] == first) & (codes[:, other] == second)].mean(1))
    check(pairs(known, both), more)


def test_the_slope_that_the_variances_climb_is_that_of_finite_differences() -> None:
    runs = runs_of(30, (0, 1, 2))
    parts = [(0, name) for name in PARTS]
    parts += [(rung, name) for rung in (1, 2) for name in ("gain", "bias", "noise")]
    logs = np.log([variances_module._value(VARIANCES, part) for part in parts])

    def surprise(logs: np.ndarray) -> tuple[float, np.ndarray]:
        tried = variances_module._with(VARIANCES, parts, np.exp(logs).tolist())
        kernels = Kernels.of(runs)
        return variances_module._surprise_and_slope(tried, parts, kernels, runs.scores[:, None], 1, NOTHING)

    steps = 1e-5 * np.eye(len(parts))
    numeric = [(surprise(logs + step)[0] - surprise(logs - step)[0]) / 2e-5 for step in steps]
    assert surprise(logs)[1] == pytest.approx(np.array(numeric), abs=1e-5)
    kernel = covariance_of(runs, VARIANCES)
    by_hand = (np.linalg.slogdet(kernel)[1] + runs.scores @ np.linalg.solve(kernel, runs.scores)) / 2
    assert surprise(logs)[0] == pytest.approx(by_hand)


def test_the_slope_of_the_prior_is_that_of_finite_differences() -> None:
    parts = [(0, name) for name in PARTS] + [(1, "noise")]
    beside_noise = [name in (*SCEPTICAL.beside_noise, "noise") for _, name in parts[:-1]]
    away = np.random.default_rng(0).normal(size=len(parts))
    value, slope = variances_module._surprise_by_prior(away, parts, SCEPTICAL)
    steps = 1e-5 * np.eye(len(parts))
    numeric = [
        (_prior(away + step, parts, SCEPTICAL) - _prior(away - step, parts, SCEPTICAL)) / 2e-5 for step in steps
    ]
    assert slope == pytest.approx(np.array(numeric), abs=1e-6)
    louder = np.array([*beside_noise, False], dtype=float)
    assert _prior(louder, parts, SCEPTICAL) == pytest.approx(1 / 4.0**2 / 2), "all grow with the noise"
    assert value == _prior(away, parts, SCEPTICAL)


def _prior(away: np.ndarray, parts: Any, prior: Prior) -> float:
    return variances_module._surprise_by_prior(away, parts, prior)[0]


def test_variances_of_rungs_without_runs_are_the_usual_ones() -> None:
    runs = runs_of(12)
    found = likeliest_variances(Kernels.of(runs), runs.scores[:, None], prior=USUAL, n_short=2)
    assert [astuple(short) for short in found.short] == [pytest.approx(astuple(Short()), rel=1e-4)] * 2
    assert found.noise != USUAL.middle.noise


def test_where_one_attention_is_worth_many_times_the_noise_the_noise_is_still_told_as_such() -> None:
    """A share of what scores spread would be more than it, and be told of what placements have by themselves."""
    random = np.random.default_rng(2)
    codes, seeds = random.integers(0, N_SPECS, (90, 6)), np.arange(90) % 3
    scores = 4.0 * (codes[:, 1] == 1) - 3.0 * (codes[:, 4] == 2) + 0.2 * random.normal(size=90)
    runs = Runs(codes, seeds, np.zeros(90, dtype=np.int64), scores, np.zeros(90))
    found = likeliest_variances(Kernels.of(runs), scores[:, None], prior=SCEPTICAL)

    assert found.noise == pytest.approx(0.04, rel=0.3)
    assert found.rest < 0.1 * found.noise
    assert found.location / 6 > 0.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_nearly_all_gain_alike_is_told_as_common_also_where_kinds_could_make_it_up(seed: int) -> None:
    """Any of four attentions brings 40 noises, as far as the images tell; three others bring nothing."""
    random = np.random.default_rng(seed)
    codes, seeds = random.integers(0, 8, (60, 7)), np.arange(60) % 3
    codes[:8] = 0
    scores = 40.0 * np.isin(codes, (1, 2, 3, 4)).any(1) + 0.7 * random.normal(size=60)
    scores -= np.median(scores)
    runs = Runs(codes, seeds, np.zeros(60, dtype=np.int64), scores, np.zeros(60))
    by_images = replace(NOTHING, common=16.0, kind=1.3, rest=0.9)
    found = likeliest_variances(Kernels.of(runs), scores[:, None], prior=SCEPTICAL, known=by_images)
    assert found.common > 300
    assert found.kind < 50


@pytest.mark.parametrize("broken", ["the second", "both"])
def test_a_climb_to_where_numbers_are_too_far_apart_is_left_out(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, usual = runs_of(12), USUAL.middle
    found = likeliest_variances(Kernels.of(runs), runs.scores[:, None], prior=USUAL)
    original = variances_module._surprise_and_slope

    def fails(tried: Variances, *others: Any) -> Any:
        if broken == "both" or tried.noise == pytest.approx(usual.noise / variances_module._ELSEWHERE):
            raise np.linalg.LinAlgError
        return original(tried, *others)

    monkeypatch.setattr(variances_module, "_surprise_and_slope", fails)
    left = likeliest_variances(Kernels.of(runs), runs.scores[:, None], prior=USUAL)
    assert left == usual if broken == "both" else left.noise == pytest.approx(found.noise, rel=0.01)


@pytest.fixture(scope="module")
def two_rungs(numbered: Make) -> Callable[..., tuple[Any, ...]]:
    """Nine of ten runs are short ones, with little noise, that show the effects times a gain and their own."""

    def make(gain: float, bias: float, seed: int = 7) -> tuple[list[Placement], Any, Any, np.ndarray]:
        random = np.random.default_rng(seed)
        placements = [numbered(0), *(numbered(int(random.integers(1, 4**7))) for _ in range(199))]
        placements = list(dict.fromkeys(placements))
        table, short, truths = [], [], []
        effects: dict[Any, tuple[float, float]] = {}
        for number, placement in enumerate(placements):
            pairs = [effects.setdefault(one, tuple(random.normal(0, 0.01, 2))) for one in placement.attended]
            truth, own = (sum(pair[side] for pair in pairs) for side in (0, 1))
            full, quick = 0.02 * random.normal(), 0.004 * random.normal()
            is_top = number % 10 == 0
            table.append({0: 0.8 + truth + full} if is_top else {})
            short.append({} if is_top else {0: 0.6 + gain * truth + bias * own + quick})
            truths.append(truth)
        return placements, table, short, np.array(truths)

    return make


def test_short_runs_that_show_the_truth_are_believed(two_rungs: Make) -> None:
    found = []
    for seed in range(7, 10):
        placements, table, short, truth = two_rungs(gain=0.5, bias=0.0, seed=seed)
        means = (gains_of(placements, table, short=rungs, prior=USUAL).mean for rungs in ([short], []))
        found.append([np.corrcoef(mean, truth)[0, 1] for mean in means])
    pooled, alone = np.mean(found, axis=0)
    assert pooled > 0.9
    assert alone < 0.75


def test_what_short_runs_hold_against_a_module_passes_for_no_knowledge(
    two_rungs: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They show half of each effect and as much of their own: errors are about as large as the posterior says."""

    def surprise() -> float:
        """Root mean square of errors over their standard deviations; 1 where the posterior is right."""
        found = []
        for seed in range(8):
            placements, table, short, truth = two_rungs(gain=0.5, bias=0.5, seed=seed)
            gains = gains_of(placements, table, short=[short], prior=USUAL)
            sd = np.sqrt(np.diag(gains.covariance(range(len(placements)))))
            found.append(np.mean(((gains.mean - truth)[1:] / sd[1:]) ** 2))
        return float(np.mean(found) ** 0.5)

    assert surprise() < 1.4
    likely = GainVariances.of

    def without_bias(*given: Any) -> GainVariances:
        found = likely(*given)
        return replace(found, by_runs=replace(found.by_runs, short=(Short(0.7, 1e-6, 0.2),)))

    monkeypatch.setattr(GainVariances, "of", without_bias)
    assert surprise() > 2
