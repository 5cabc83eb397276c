"""The leading placements of a study timed together at the end of its search, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_attn.analysis import rank
from nas_attn.architecture import read_architecture
from nas_attn.config.settings import StudyRequest
from nas_attn.latencies import LatencyTable
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.study import latencies, study_pool
from nas_attn.study.answer import ranking_of
from nas_attn.study.latencies import bench_of, keep_latencies, leading_placements
from nas_attn.study.run import StudyResult, run_study
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.find import open_study
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import resolve
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LatencyBench, LookupEvaluator

ASK = StudyRequest(
    study="s", space="unet_attention_small", device="cpu", workers=1, trials=14, image_size=16, base_channels=4,
    steps=200, precision="float32",
)  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches look their trials up, and time real networks as briefly as possible."""
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))
    monkeypatch.setattr(
        study_pool,
        "processes",
        lambda resolved, *_: nullcontext(InlinePool(LookupEvaluator(resolved.settings.space), size=1)),
    )
    monkeypatch.setattr(latencies, "SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)


def listener(records: Sequence[TrialRecord]) -> None:
    """Does not care."""


def searched(ask: StudyRequest = ASK) -> StudyResult:
    return run_study(resolve(ask), listener)


def kept() -> LatencyTable:
    found = open_study("s").latencies
    assert found is not None
    return found


def test_a_search_ends_with_the_leading_placements_timed_together() -> None:
    result = searched()
    table, ranking = kept(), result.ranking

    assert set(table.single) == set(table.batched) == {one.id for one in leading_placements(ranking)}
    assert (table.height, table.width, table.batch) == (16, 16, 4)
    assert ranking.latencies == table
    for row in ranking.rows:
        if row.on_front or row.tested or row.is_plain or row.rank <= 10:
            assert ranking.latency_of(row) is not None
            assert row.cost.latency_ms == pytest.approx(table.single[row.placement.id].ms)


def test_the_trials_are_the_same_with_and_without_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = searched().records
    monkeypatch.setattr(latencies, "leading_placements", lambda *_: [])
    assert searched(replace(ASK, study="other")).records == timed


def test_the_exported_architecture_says_what_was_timed() -> None:
    result = searched()
    assert result.best is not None
    found = read_architecture(result.best, catalogue()).results

    assert found is not None
    assert found.latency_device == kept().device
    winner = result.answer.winner
    assert winner is not None
    assert found.latency_ratio == pytest.approx(kept().single[winner.placement.id].ratio)


def test_a_search_that_is_stopped_while_it_times_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> LatencyTable:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LatencyBench, "__call__", stopped)
        with pytest.raises(KeyboardInterrupt):
            searched()
    assert open_study("s").latencies is None
    before = open_study("s").records()
    assert len(before) == 14

    result = searched()
    assert result.records == before
    assert result.ranking.latencies == kept()


def test_what_is_known_is_not_timed_again_until_other_placements_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    searched()
    times: list[int] = []
    timer = LatencyBench.__call__

    def counted(bench: LatencyBench, placements: Sequence[Placement]) -> LatencyTable:
        times.append(len(placements))
        return timer(bench, placements)

    monkeypatch.setattr(LatencyBench, "__call__", counted)
    searched()
    assert not times
    searched(replace(ASK, trials=40))
    assert len(times) == 1


def test_a_network_for_which_memory_runs_out_leaves_the_trials_own_latencies(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def too_large(*_: object) -> LatencyTable:
        raise MemoryError("it takes 12 GiB")

    monkeypatch.setattr(LatencyBench, "__call__", too_large)
    result = searched()

    assert result.ranking.latencies is None
    assert all(row.cost.latency_ms is not None for row in result.ranking.rows)
    assert "the leading placements were not timed: it takes 12 GiB" in caplog.text


def test_another_size_and_batch_can_be_timed_and_then_stand_everywhere() -> None:
    searched()
    ledger = open_study("s")
    bench = bench_of(ledger, "cpu", size=(32, 16), batch=2)
    table = keep_latencies(ledger, ranking_of(ledger, ledger.records()), bench)

    assert (table.height, table.width, table.batch) == (32, 16, 2)
    assert kept() == table
    assert searched().ranking.latencies == table, "a search that has nothing to add leaves it"


def test_first_come_the_baseline_and_the_claimed_placement_and_there_are_not_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records: Any = searched(replace(ASK, trials=60)).records
    ranking = rank(records)
    chosen = leading_placements(ranking, top=100)

    assert chosen[0] == ranking.plain.placement if ranking.plain else False
    assert len(chosen) == len(set(chosen)) == latencies.MOST
    monkeypatch.setattr(latencies, "_MOST_PARAMETERS", 1)
    assert len(leading_placements(ranking)) == 2, "networks that take all the memory"
    assert leading_placements(rank(())) == []
