"""A search that weighs and limits latency before it trains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from nas_attn.config.settings import StudyRequest
from nas_attn.latencies import LatencyModel
from nas_attn.models.placement import NONE, AttentionSpec, Location
from nas_attn.record import Role, TrialRecord
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.study.run import StudyResult, run_study
from nas_attn.study.setup import begin
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.begin import with_known_latency
from nas_attn.study.setup.find import open_study
from nas_attn.study.setup.join import JoinRequest, resolve_joined
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import Resolved, resolve
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LatencyBench, LookupEvaluator

ASK = StudyRequest(
    study="s", space="unet_attention_small", device="cpu", workers=1, trials=30, image_size=16, base_channels=4,
    steps=200, precision="float32", cost="latency",
)  # fmt: skip
Choices = Iterable[tuple[Location, Sequence[AttentionSpec]]]


class Stopwatch:
    """What each attention takes: so many of 100 of the baseline's 10 ms; more with each measurement."""

    def __init__(self) -> None:
        self.measured = 0

    def __call__(self, bench: LatencyBench, choices: Choices) -> LatencyModel:
        self.measured += 1
        added = {
            (place, spec): 0.1 * (3 + len(spec.kind) + 4 * (place.level or 0)) * self.measured
            for place, specs in choices
            for spec in specs
            if spec != NONE
        }
        return LatencyModel("cpu: x, 1 thread", bench.height, bench.width, 10.0, added)


@pytest.fixture(name="stopwatch", autouse=True)
def stopwatch_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    stopwatch = Stopwatch()
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))
    monkeypatch.setattr(begin, "measure_latency_model", stopwatch)
    monkeypatch.chdir(tmp_path)
    return stopwatch


def listener(records: Sequence[TrialRecord]) -> None:
    """Does not care."""


def searched(resolved: Resolved) -> StudyResult:
    pool = InlinePool(LookupEvaluator(resolved.settings.space), size=1)
    return run_study(resolved, listener, pool=nullcontext(pool))


def kept() -> LatencyModel:
    return LatencyModel.from_dict(open_study("s").context["latency model"])


def test_a_ceiling_of_the_latency_binds_before_training() -> None:
    free = searched(resolve(replace(ASK, study="free"))).records
    limited = searched(resolve(replace(ASK, max_cost="1.15x"))).records
    model = kept()

    assert any(model(record.placement) > 11.5 for record in free), "else the ceiling would bind nothing"
    assert all(model(record.placement) <= 11.5 for record in limited)
    assert sum(record.role is Role.PROPOSAL for record in limited) > 0


def test_milliseconds_are_a_ceiling_too() -> None:
    limited = searched(resolve(replace(ASK, max_cost="12"))).records
    assert max(kept()(record.placement) for record in limited) <= 12


def test_it_is_measured_once_and_a_study_goes_on_with_the_same_figures(stopwatch: Stopwatch) -> None:
    """Another measurement would give other figures, and so other proposals."""
    searched(resolve(ASK))
    before = kept()
    grown = searched(resolve(replace(ASK, trials=40)))
    (at_once,) = [searched(resolve(replace(ASK, trials=40, study=name))) for name in ("other",)]

    assert kept().added_ms == before.added_ms
    assert stopwatch.measured == 2, "once for each study"
    assert grown.records[:30] != at_once.records[:30]


def test_the_same_figures_give_the_same_study(stopwatch: Stopwatch) -> None:
    first = searched(resolve(ASK)).records
    stopwatch.measured = 0
    assert searched(resolve(replace(ASK, study="again"))).records == first


def test_the_strategy_weighs_the_latency() -> None:
    resolved = with_known_latency(resolve(ASK))
    agenda = Agenda(resolved.settings, resolved.costs)
    placement = resolved.settings.space.plain.replace(Location.parse("skip.1"), AttentionSpec("cbam"))

    assert agenda.known_cost(resolved.settings.space.plain) == 10.0
    assert agenda.known_cost(placement) == pytest.approx(10 + 0.1 * (3 + 4 + 4))


def test_who_joins_takes_the_figures_of_the_study(stopwatch: Stopwatch) -> None:
    searched(resolve(ASK))
    joined, _, _ = resolve_joined(JoinRequest("s", device="cpu", workers=1))

    assert joined.costs.latency is not None
    assert joined.costs.latency.added_ms == kept().added_ms
    assert stopwatch.measured == 1


def test_other_costs_measure_nothing(stopwatch: Stopwatch) -> None:
    resolved = with_known_latency(resolve(replace(ASK, cost="macs")))
    assert resolved.costs.latency is None
    assert resolved.costs(resolved.settings.space.plain).latency_ms is None
    assert stopwatch.measured == 0
