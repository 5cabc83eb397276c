"""Loggers that people have: TensorBoard, CSV, Weights & Biases and MLflow, through Lightning's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nas_attn.errors import MissingPackageError, UsageError, did_you_mean
from nas_attn.training.full.result import Announcement, EpochRecord, Report

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from nas_attn.training.full.result import StepRecord

PROJECT = "nas-attn"
"""Under which Weights & Biases lists the runs, unless WANDB_PROJECT names another."""
LOGGERS = ("tensorboard", "csv", "wandb", "mlflow")
_PACKAGES = ("wandb", "mlflow")
"""Loggers that are packages of their own, by the same name."""


def check_logger(name: str) -> None:
    """Make sure that there is such a logger, and its package, before anything is trained.

    Raises:
        UsageError: there is none.
        MissingPackageError: its package is not installed.
    """
    if name not in LOGGERS:
        raise UsageError(f"--logger: unknown '{name}'; {did_you_mean(name, LOGGERS)}")
    if name in _PACKAGES and find_spec(name) is None:
        raise MissingPackageError(f"--logger {name}: its package is not installed: pip install 'nas-attn[{name}]'")


def make_logger(name: str, folder: Path, group: str, run: str) -> Logger:
    """Lightning's logger of one run.

    Args:
        name: one of ``LOGGERS``.
        folder: for its files; Weights & Biases and MLflow heed their own variables, such as WANDB_MODE.
        group: of runs that belong together.
        run: of this one.
    """
    from lightning.pytorch import loggers

    makers: dict[str, Callable[[], Logger]] = {
        "tensorboard": lambda: loggers.TensorBoardLogger(folder, name=group, version=run),
        "csv": lambda: loggers.CSVLogger(folder, name=group, version=run),
        "wandb": lambda: loggers.WandbLogger(name=run, save_dir=folder, project=PROJECT, group=group),
        "mlflow": lambda: loggers.MLFlowLogger(group, run, _mlflow_uri(folder)),
    }
    return makers[name]()


def _mlflow_uri(folder: Path) -> str:
    """Of the server that the environment names, else of a SQLite file; MLflow gives folders of files up."""
    folder.mkdir(parents=True, exist_ok=True)
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlflow.db'}"


def close(logger: Logger, name: str) -> None:
    """Write what is left; Weights & Biases keeps a run open until it is told."""
    logger.finalize("success")
    if name == "wandb":
        logger.experiment.finish()  # type: ignore[attr-defined]  # every logger of a service has one


@contextmanager
def logged(name: str | None, folder: Path, other: Report) -> Iterator[Report]:
    """What a training is to report to: another, and a logger where one is named.

    Args:
        name: of the logger; None for none.
        folder: of the training.
        other: is told everything.
    """
    if name is None:
        yield other
        return
    log = _EpochLog(name, folder, other)
    try:
        yield log
    finally:
        log.close()


class _EpochLog:
    """Hears what a training reports, and logs its epochs; the baseline's are a run of their own.

    Args:
        name: of the logger.
        folder: of the training.
        other: is told everything, too.
    """

    def __init__(self, name: str, folder: Path, other: Report) -> None:
        self._name, self._folder, self._other = name, folder, other
        self._logger: Logger | None = None

    def __call__(self, event: Announcement | StepRecord | EpochRecord) -> None:
        if isinstance(event, Announcement):
            self.close()
            self._logger = make_logger(self._name, self._folder / "loggers", self._folder.name, event.network)
            self._logger.log_hyperparams({"network": event.network, **event.plan.to_dict()})
        elif isinstance(event, EpochRecord) and self._logger is not None:
            figures = {name: value for name, value in asdict(event).items() if isinstance(value, float)}
            self._logger.log_metrics(figures, step=event.epoch)
        self._other(event)

    def close(self) -> None:
        """End the run."""
        if self._logger is not None:
            close(self._logger, self._name)
            self._logger = None
