"""Training loggers: TensorBoard, CSV, Weights & Biases and MLflow, through Lightning's own."""

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
"""The Weights & Biases project that lists the runs, unless WANDB_PROJECT names another."""
LOGGERS = ("tensorboard", "csv", "wandb", "mlflow")
_PACKAGES = ("wandb", "mlflow")
"""Loggers that need a package of the same name."""


def check_logger(name: str) -> None:
    """Check that a logger exists and its package is installed, before anything is trained.

    Raises:
        UsageError: there is no such logger.
        MissingPackageError: its package is not installed.
    """
    if name not in LOGGERS:
        raise UsageError(f"--logger: unknown '{name}'; {did_you_mean(name, LOGGERS)}")
    if name in _PACKAGES and find_spec(name) is None:
        raise MissingPackageError(f"--logger {name}: its package is not installed: pip install 'nas-attn[{name}]'")


def make_logger(name: str, folder: Path, group: str, run: str) -> Logger:
    """Lightning's logger for one run.

    Args:
        name: one of ``LOGGERS``.
        folder: for its files; Weights & Biases and MLflow obey their own variables, such as WANDB_MODE.
        group: name of the group of runs that belong together.
        run: name of this run.
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
    """The server that the environment names, else a SQLite file; MLflow is giving up folders of files."""
    folder.mkdir(parents=True, exist_ok=True)
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlflow.db'}"


def close(logger: Logger, name: str) -> None:
    """Flush a logger; Weights & Biases keeps a run open until it is told to finish."""
    logger.finalize("success")
    if name == "wandb":
        logger.experiment.finish()  # type: ignore[attr-defined]  # every logger of a service has one


@contextmanager
def logged(name: str | None, folder: Path, other: Report) -> Iterator[Report]:
    """The function that a training reports to: ``other``, combined with a logger if one is named.

    Args:
        name: of the logger; None for no logger.
        folder: of the training.
        other: is called with every event.
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
    """Logs the epochs that a training reports; the baseline's epochs go into a run of their own.

    Args:
        name: of the logger.
        folder: of the training.
        other: is called with every event, too.
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
