"""The ledger: what is written to Optuna's storage, and what is refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest

from nas_attn.errors import MissingPackageError, StudyError
from nas_attn.record import Failure, OutOfMemory, Role, State
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.reference_architectures import reference_evaluations
from nas_attn.strategy.settings import StudySettings, differences
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.database.storage import describe_storage, open_storage
from nas_attn.training.evaluation import LookupEvaluator


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def ledger(url: str, settings: StudySettings) -> Ledger:
    return Ledger.create(url, "small", json.loads(json.dumps(settings.identity())), settings.context(), "macs")


@pytest.fixture
def evaluation(settings: StudySettings) -> Evaluation:
    return Evaluation(settings.space.plain, settings.budget, 3, Role.REFERENCE, "plain", memory={"generation": 2})


def test_a_trial_comes_back_as_it_was_written(
    ledger: Ledger, url: str, settings: StudySettings, evaluation: Evaluation, evaluator: LookupEvaluator
) -> None:
    begun = ledger.begin(evaluation, settings.space, version="9.9")
    assert Ledger.open(url, "small").records() == (begun,)
    outcome = evaluator(evaluation.placement, evaluation.budget, evaluation.seed)
    ended = ledger.complete(begun, outcome, "macs", "here:1")

    (record,) = Ledger.open(url, "small").records()

    assert begun.state is State.RUNNING
    assert record == ended
    assert record.state is State.COMPLETE
    assert (record.placement, record.budget, record.seed) == (evaluation.placement, evaluation.budget, 3)
    assert (record.role, record.reference, record.memory) == (Role.REFERENCE, "plain", {"generation": 2})
    assert (record.outcome, record.worker, record.version) == (outcome, "here:1", "9.9")


def test_a_failed_trial_may_be_under_way_again_and_no_other(
    ledger: Ledger, url: str, settings: StudySettings, evaluation: Evaluation, evaluator: LookupEvaluator
) -> None:
    begun = [ledger.begin(evaluation, settings.space, version="9.9") for _ in range(3)]
    failed = ledger.fail(begun[0], Failure("out of memory", OutOfMemory("gpu", 9.0, 8.0)), "here:1")
    outcome = evaluator(evaluation.placement, evaluation.budget, evaluation.seed)
    complete = ledger.complete(begun[1], outcome, "macs", "here:1")

    assert [ledger.reopen(record) for record in (failed, complete, begun[2])] == [True, False, False]
    assert Ledger.open(url, "small").records() == (begun[0], complete, begun[2])
    assert ledger.complete(begun[0], outcome, "macs", "here:2") is not None
    (trial, *_) = optuna.load_study(study_name="small", storage=url).trials
    assert trial.state is optuna.trial.TrialState.COMPLETE
    assert "infeasible" not in trial.user_attrs


def test_all_states_are_read_as_optuna_reads_them(
    ledger: Ledger, url: str, settings: StudySettings, evaluation: Evaluation, evaluator: LookupEvaluator
) -> None:
    """Complete, failed and running trials, beside another study in the same database."""
    other = Ledger.create(url, "other", {}, {}, "macs")
    other.begin(evaluation, settings.space, version="")
    outcome = evaluator(evaluation.placement, evaluation.budget, evaluation.seed)
    for number in range(12):
        begun = ledger.begin(evaluation, settings.space, version="1")
        if number % 3 == 0:
            ledger.complete(begun, outcome, "macs", "here")
        elif number % 3 == 1:
            ledger.fail(begun, Failure("diverged"), "there")

    opened = Ledger.open(url, "small")
    study = optuna.load_study(study_name="small", storage=url)
    assert opened.records() == Ledger(study, url).records()
    assert [record.number for record in opened.records()] == list(range(12))
    assert {record.state for record in opened.records()} == set(State)


def test_optuna_sees_named_objectives_and_one_parameter_for_each_location(
    ledger: Ledger, url: str, settings: StudySettings, evaluation: Evaluation, evaluator: LookupEvaluator
) -> None:
    outcome = evaluator(evaluation.placement, evaluation.budget, evaluation.seed)
    ledger.complete(ledger.begin(evaluation, settings.space, version=""), outcome, "macs", "")

    study = optuna.load_study(study_name="small", storage=url)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        assert study.metric_names == ["iou", "macs"]
    assert study.trials[0].values == [outcome.score.iou, outcome.cost.macs]
    assert study.trials[0].params == settings.space.plain.to_dict()
    assert study.trials[0].user_attrs["measured"]["parameters"] == outcome.cost.parameters


def test_a_failed_trial_keeps_its_reason(ledger: Ledger, settings: StudySettings, evaluation: Evaluation) -> None:
    ledger.fail(ledger.begin(evaluation, settings.space, version=""), Failure("the loss is nan"), "here:1")

    (record,) = ledger.records()

    assert (record.state, record.failure, record.outcome) == (State.FAILED, "the loss is nan", None)


def test_a_trial_is_ended_by_one_process_only(
    ledger: Ledger, url: str, settings: StudySettings, evaluation: Evaluation
) -> None:
    begun = ledger.begin(evaluation, settings.space, version="")
    Ledger.open(url, "small").fail(begun, Failure("diverged"), "there")

    assert ledger.fail(begun, Failure("out of memory"), "here") is None
    assert ledger.records()[0].failure == "diverged"


def test_a_reference_outside_the_choices_can_be_written(ledger: Ledger, settings: StudySettings) -> None:
    for evaluation in reference_evaluations(settings.space, (settings.budget,), 0, lambda _: True):
        ledger.begin(evaluation, settings.space, version="")

    assert ledger.records()[0].placement == settings.space.plain


def test_identity_and_context_come_back(ledger: Ledger, url: str, settings: StudySettings) -> None:
    again = Ledger.open(url, "small")

    assert differences(again.identity, json.loads(json.dumps(settings.identity()))) == []
    assert again.context["classes"] == ["background", "object"]


def test_differences_name_each_setting_that_changed() -> None:
    old: dict[str, Any] = {"seed": 0, "budget": {"steps": 200, "batch_size": 8}, "strategy": "tpe"}
    new: dict[str, Any] = {"seed": 1, "budget": {"steps": 100, "batch_size": 8}, "strategy": "tpe"}

    found = [str(difference) for difference in differences(old, new)]
    assert found == ["seed was 0 and is now 1", "budget.steps was 200 and is now 100"]


def test_what_an_identity_does_not_say_is_no_difference_to_its_being_said() -> None:
    assert differences({}, {"screening seeds": 1, "out of memory": "fail"}) == []
    (found,) = differences({"seed": 0}, {"seed": 0, "screening seeds": 4})
    assert str(found) == "screening seeds was 1 and is now 4"


def test_a_study_is_not_made_twice(ledger: Ledger, url: str) -> None:
    with pytest.raises(StudyError, match=r"study\.db: there is a study 'small' already"):
        Ledger.create(url, "small", {}, {}, "macs")


@pytest.mark.parametrize("deadly", ["set_metric_names", "set_user_attr"])
def test_a_creation_that_was_killed_is_taken_up(
    url: str, settings: StudySettings, deadly: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, deadly, die)
        with pytest.raises(KeyboardInterrupt):
            Ledger.create(url, "small", {"seed": 0}, {}, "macs")

    assert not Ledger.exists(url, "small")
    assert Ledger.create(url, "small", {"seed": 0}, {}, "macs").identity == {"seed": 0}
    assert Ledger.exists(url, "small")


def test_an_empty_study_of_somebody_else_is_not_taken_over(url: str) -> None:
    optuna.create_study(study_name="foreign", storage=url, directions=["minimize", "maximize"])

    assert Ledger.exists(url, "foreign")
    with pytest.raises(StudyError, match="there is a study 'foreign' already"):
        Ledger.create(url, "foreign", {}, {}, "macs")


def test_an_unknown_study_is_named(ledger: Ledger, url: str) -> None:
    with pytest.raises(StudyError, match=r"study\.db: there is no study 'large'"):
        Ledger.open(url, "large")


def test_a_study_of_somebody_else_is_refused(url: str) -> None:
    optuna.create_study(study_name="foreign", storage=url)

    with pytest.raises(StudyError, match="'foreign' was not made by nas-attn"):
        Ledger.open(url, "foreign")


@pytest.mark.parametrize(
    "content", [b"not a database", b"SQLite format 3\0" + b"\x07" * 4000], ids=["text", "torn"]
)
def test_a_broken_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(content)

    with pytest.raises(StudyError, match=r"study\.db: .*(no SQLite database|cannot be used)"):
        Ledger.exists(f"sqlite:///{path}", "small")
    assert path.read_bytes() == content


def test_a_missing_study_file_is_not_created_by_looking(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no such study file"):
        Ledger.open(f"sqlite:///{tmp_path / 'study.db'}", "small")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["", "nonsense", "sqlit:///x.db", "nodriver+what://x"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises((StudyError, MissingPackageError), match="--storage"):
        open_storage(url)


def test_a_password_is_never_shown() -> None:
    assert describe_storage("postgresql://me:secret@host/studies") == "postgresql://me:***@host/studies"
    assert "secret" not in describe_storage("mysql+pymysql://host/studies?user=me&passwd=secret&charset=utf8")
    assert "secret" not in describe_storage("postgresql://host/studies?password=secret")


def test_sqlite_writes_ahead(ledger: Ledger, tmp_path: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(tmp_path / "study.db")
    mode = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert mode == ("wal",)
