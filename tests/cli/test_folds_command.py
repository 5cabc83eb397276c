"""A small set searched over folds, from the plan to the full training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nas_attn.cli.main import main

from .conftest import TINY

Refused = Callable[..., list[str]]
FOLDS = ("--folds", "3")


def search(*asked: str) -> int:
    return main(["search", *TINY, "--trials", "9", "--strategy", "random", "--study", "few", *asked])


def test_a_study_over_folds_is_ranked_verified_reported_and_trained(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from nas_attn.study.setup.find import open_study
    from nas_attn.study.setup.join import JoinRequest, resolve_joined

    def printed(*arguments: str) -> str:
        assert main(arguments) == 0
        return capsys.readouterr().out

    assert search(*FOLDS) == 0
    plan = " ".join(capsys.readouterr().out.split())
    assert (
        "folds 3 of the 12 training and validation images, each held out in turn: a trial trains 3 networks"
        in plan
    )
    ledger = open_study("few")
    assert ledger.identity["folds"] == 3
    counts = [record.outcome.score.counts for record in ledger.records() if record.outcome]
    assert {held.groups for held in counts if held} == {12}
    rows = json.loads(printed("rank", "few", "--json"))
    assert len(rows) > 3

    said = printed("verify", "few", "--pick", "first", "--seeds", "2")
    assert "trained on train and val together" in said
    (beside,) = ledger.beginning_with("few.verify-")
    tests = [record.outcome.score.counts for record in beside.records() if record.outcome]
    assert {held.groups for held in tests if held} == {4}
    resolved, _, _ = resolve_joined(JoinRequest("few", workers=1))
    assert resolved.settings.n_folds == 3

    printed("report", "few", "-o", "report.html")
    page = (here / "report.html").read_text()
    assert "without the first of 3 folds, whose images these are" in page
    printed("export", "few", "--pick", "first", "-o", "best.yaml")
    assert "  folds: 3\n" in (here / "best.yaml").read_text()
    train = ("train", "best.yaml", "--data", "synthetic", "--epochs", "1", "--accelerator", "cpu", "-o", "run")
    assert "weights" in printed(*train)


def test_verification_trains_on_train_and_val_and_judges_on_test(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The score of a verified run, made again by hand."""
    from nas_attn.data import without_validation
    from nas_attn.study.setup.find import open_study
    from nas_attn.study.setup.join import JoinRequest, resolve_joined
    from nas_attn.training.evaluation import TrainingEvaluator

    assert search(*FOLDS) == 0
    assert main(["verify", "few", "--pick", "first", "--seeds", "2"]) == 0
    capsys.readouterr()
    (beside,) = open_study("few").beginning_with("few.verify-")
    run = beside.records()[0]
    resolved, _, _ = resolve_joined(JoinRequest("few", workers=1))
    settings = resolved.settings
    evaluator = TrainingEvaluator(settings.space.network, settings.source, metric=settings.metric)
    evaluator.__dict__["dataset"] = without_validation(resolved.dataset)
    network = evaluator.trained(run.placement, run.budget, run.seed)

    assert run.outcome is not None
    assert run.outcome.score.loss == pytest.approx(evaluator.score(network).loss, rel=1e-6)
    assert run.outcome.score.iou == pytest.approx(evaluator.score(network).iou, abs=1e-12)


def test_other_folds_are_another_study(here: Path, refused: Refused) -> None:
    assert search(*FOLDS) == 0
    lines = refused("search", *TINY, "--trials", "9", "--strategy", "random", "--study", "few")
    assert lines[0] == "study 'few': folds was 3 and is now nothing; give --folds 3"
    lines = refused("search", *TINY, "--trials", "9", "--strategy", "random", "--study", "few", "--folds", "4")
    assert lines[0] == "study 'few': folds was 3 and is now 4; give --folds 3"


@pytest.mark.parametrize(
    ("folds", "line"),
    [
        ("1", "--folds: 1 must be a whole number from 2 to 100"),
        ("five", "--folds: 'five' must be a whole number from 2 to 100"),
        (
            "13",
            "--folds 13: train and val hold 12 images or groups of them that can be parted; take at most 12",
        ),
    ],
)
def test_a_mistake_is_one_line(here: Path, refused: Refused, folds: str, line: str) -> None:
    assert refused("search", *TINY, "--trials", "8", "--folds", folds) == [line]
