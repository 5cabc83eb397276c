"""Loggers that people have, offline: what a search and a training write, read back from what they wrote."""

from __future__ import annotations

import contextlib
import csv
from dataclasses import replace
from pathlib import Path

import pytest

from nas_attn.cli.main import main
from nas_attn.errors import MissingPackageError, UsageError
from nas_attn.study import study_pool
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup import preset
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training.full.loggers import check_logger

SEARCH = (
    *("search", "--space", "unet_attention_small", "--study", "s", "--strategy", "random"),
    *("--base-channels", "4", "--image-size", "16", "--batch-size", "2", "--steps", "2", "--device", "cpu"),
    *("--workers", "1", "--trials", "3"),
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(preset, "CPU_SYNTHETIC", replace(preset.CPU_SYNTHETIC, n_train=4, n_val=2))
    monkeypatch.setattr(
        study_pool,
        "ProcessPool",
        lambda evaluators, logs, **_: contextlib.nullcontext(InlinePool(evaluators[0], len(evaluators))),
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_search_logs_each_trial_once_as_a_run_of_its_own() -> None:
    assert main([*SEARCH, "--logger", "csv"]) == 0
    records = Ledger.open("sqlite:///studies/s/study.db", "s").records()
    folder = Path("studies/s/loggers/s")
    assert sorted(path.name for path in folder.iterdir()) == [f"trial-{one.number:04}" for one in records]
    for record in records:
        written = rows(folder / f"trial-{record.number:04}" / "metrics.csv")
        (found,) = [float(row["val_iou"]) for row in written if row["val_iou"]]
        assert record.outcome is not None
        assert found == pytest.approx(record.outcome.score.iou)
        losses = [float(row["train_loss"]) for row in written if row["train_loss"]]
        assert losses == pytest.approx([point.loss for point in record.outcome.curve])

    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.csv")}
    assert main([*SEARCH[:-1], "4", "--logger", "csv"]) == 0
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*.csv")}
    assert after.items() >= before.items()
    assert len(after) == len(before) + 1


def test_a_training_logs_its_epochs() -> None:
    assert main(list(SEARCH)) == 0
    train = ("train", "studies/s/best.yaml", "--data", "synthetic", "--epochs", "2", "--batch-size", "2")
    assert main([*train, "--crop", "16", "--accelerator", "cpu", "-o", "run", "--logger", "csv"]) == 0
    written = rows(Path("run/loggers/run/architecture/metrics.csv"))
    curve = rows(Path("run/curve.csv"))
    assert [float(row["val_iou"]) for row in written] == pytest.approx([float(row["val_iou"]) for row in curve])


def test_tensorboard_has_a_folder_for_each_trial() -> None:
    assert main([*SEARCH, "--logger", "tensorboard"]) == 0
    found = sorted(path.parent.name for path in Path("studies/s/loggers/s").rglob("events.out.*"))
    assert found == ["trial-0000", "trial-0001", "trial-0002"]


@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_a_run_for_each_trial() -> None:
    mlflow = pytest.importorskip("mlflow")
    assert main([*SEARCH, "--logger", "mlflow"]) == 0
    client = mlflow.MlflowClient("sqlite:///studies/s/loggers/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("s").experiment_id])
    assert sorted(one.info.run_name for one in runs) == ["trial-0000", "trial-0001", "trial-0002"]
    assert all(0 <= one.data.metrics["val_iou"] <= 1 for one in runs)


@pytest.mark.filterwarnings("ignore")
def test_wandb_keeps_runs_offline() -> None:
    pytest.importorskip("wandb")
    assert main([*SEARCH, "--logger", "wandb"]) == 0
    assert len(list(Path("studies/s/loggers/wandb").glob("offline-run-*"))) == 3


def test_a_logger_that_is_not_there_is_told_before_anything_is_trained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SEARCH, "--logger", "wandbb"]) == 2
    assert "--logger: unknown 'wandbb'; did you mean 'wandb'?" in capsys.readouterr().err
    assert not Path("studies").exists()


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_attn.training.full.loggers.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'nas-attn\[mlflow\]'"):
        check_logger("mlflow")
    check_logger("csv")
    with pytest.raises(UsageError):
        check_logger("tensorbord")
