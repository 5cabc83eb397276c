"""Failed trials of older studies that are begun anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from nas_attn.budget import Budget
from nas_attn.cli.main import main
from nas_attn.config.settings import StudyRequest
from nas_attn.errors import StudyError
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome, State, TrialRecord
from nas_attn.study.run import StudyResult, run_study
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.find import open_study
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.resolve import resolve
from nas_attn.study.setup.retried import retry
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.evaluation import LookupEvaluator

ASK = StudyRequest(
    study="s",
    space="unet_attention_small",
    device="cpu",
    workers=1,
    trials=14,
    image_size=16,
    base_channels=4,
    steps=200,
    precision="float32",
    strategy="random",
)
DATABASE = Path("studies/s/study.db")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Troubled:
    """Fails for its machine from one evaluation on, and runs out of memory once before."""

    def __init__(self, evaluator: LookupEvaluator, first: int) -> None:
        self._evaluator, self._first, self._n = evaluator, first, 0

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        self._n += 1
        if self._n > self._first:
            raise ValueError("mmap length is greater than file size")
        if self._n == 4:
            raise MemoryError
        return self._evaluator(placement, budget, seed)


def searched(ask: StudyRequest, first: int | None = None) -> StudyResult:
    resolved = resolve(ask)
    evaluator = LookupEvaluator(resolved.settings.space)
    pool = InlinePool(evaluator if first is None else Troubled(evaluator, first))
    return run_study(resolved, lambda _: None, pool=nullcontext(pool))


def make_older() -> None:
    """Failures as versions before have written them, which did not ask whose they are."""
    with sqlite3.connect(DATABASE) as database:
        found = database.execute(
            "SELECT trial_user_attribute_id, value_json FROM trial_user_attributes WHERE key = 'failure'"
        ).fetchall()
        for number, value in found:
            told = json.loads(json.loads(value))
            del told["own"]
            database.execute(
                "UPDATE trial_user_attributes SET value_json = ? WHERE trial_user_attribute_id = ?",
                (json.dumps(json.dumps(told)), number),
            )
    database.close()


def states(records: Sequence[TrialRecord]) -> list[str]:
    return [str(record.state) for record in records]


@pytest.fixture
def older() -> tuple[TrialRecord, ...]:
    """A study that has counted six failures of its machine as trials."""
    records = searched(ASK, first=8).records
    make_older()
    return records


def test_what_failed_for_the_machine_runs_again_in_its_place(older: tuple[TrialRecord, ...]) -> None:
    assert states(older).count("failed") == 7
    done = retry("s")

    assert done.reasons == (("ValueError: mmap length is greater than file size", 6),)
    assert done.n_kept == 1, "what ran out of memory is infeasible"
    begun = open_study("s").records()
    assert states(begun) == ["complete"] * 3 + ["failed"] + ["complete"] * 4 + ["running"] * 6
    assert [(one.placement, one.seed, one.budget) for one in begun] == [
        (one.placement, one.seed, one.budget) for one in older
    ]
    again = searched(ASK).records
    evaluator = LookupEvaluator(resolve(ASK).settings.space)
    assert again[:8] == older[:8]
    assert [one.outcome and one.outcome.score for one in again[8:]] == [
        evaluator(one.placement, one.budget, one.seed).score for one in older[8:]
    ]
    assert again[8].failure is None
    assert retry("s").n_trials == 0, "nothing is left to begin anew"


def test_all_failed_trials_run_again_where_that_is_asked(older: tuple[TrialRecord, ...]) -> None:
    done = retry("s", all_of_them=True)

    assert (done.n_trials, done.n_kept) == (7, 0)
    assert states(searched(ASK).records) == ["complete"] * 14
    assert open_study("s").records()[3].shortage is None


def test_what_a_search_of_this_version_has_counted_is_left_alone(here: Path) -> None:
    searched(ASK, first=20)  # the memory and nothing else
    assert retry("s").n_trials == 0


def test_the_command_says_what_runs_again_and_why_it_had_failed(
    older: tuple[TrialRecord, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["retry", "s"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "study 's': 6 failed trials to run again with its next search",
        "  6 x ValueError: mmap length is greater than file size",
        "not repeated, because the placement itself failed: 1 failed trial (--all repeats them too)",
    ]
    assert main(["retry", "s"]) == 0
    assert "no failed trial to run again" in capsys.readouterr().out


def test_while_it_is_searched_nothing_is_begun_anew(older: tuple[TrialRecord, ...]) -> None:
    with StudyFolder.of("s").locked(), pytest.raises(StudyError, match="another process searches this study"):
        retry("s")
    other = open_study("s").claims()
    assert other.take(99)  # a worker, which does not lock the folder
    with pytest.raises(StudyError, match="another process searches study 's'; stop it first"):
        retry("s")
    other.give_back(99)
    assert retry("s").n_trials == 6


def test_a_killed_search_is_not_waited_for(older: tuple[TrialRecord, ...]) -> None:
    from nas_attn.study.database.claims import ClaimTable
    from nas_attn.study.database.signs_of_life import this_process

    ledger = open_study("s")
    name, _, machine, _ = this_process().split(":")
    dead = ClaimTable(ledger._trials.engine, ledger.optuna_id, holder=f"{name}:999999999:{machine}:1")  # type: ignore[attr-defined]
    assert dead.take(99)

    assert retry("s").n_trials == 6


def test_a_study_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retry", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("nas-attn: error: there is no study 'nowhere'")


def test_a_plain_unet_that_failed_for_the_machine_no_longer_ends_the_study(here: Path) -> None:
    with pytest.raises(StudyError, match="the baseline cannot be trained"):
        searched(ASK, first=0)
    make_older()
    with pytest.raises(StudyError, match="the baseline cannot be trained"):
        searched(ASK)

    assert retry("s").n_trials == 1
    assert [one.state for one in searched(ASK).records] == [State.COMPLETE] * 14
