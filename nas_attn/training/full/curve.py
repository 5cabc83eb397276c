"""The curve of a training: one record for every epoch."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from nas_attn.training.full.run_folder import run_file


@dataclass(frozen=True)
class StepRecord:
    """How far a training is within an epoch.

    Args:
        epoch: from 1.
        step: of the epoch, from 1.
    """

    epoch: int
    step: int


@dataclass(frozen=True)
class EpochRecord:
    """One line of the curve.

    Args:
        epoch: from 1.
        train_loss: mean over the epoch's steps.
        val_loss: mean over the validation images, after the epoch.
        val_iou: mean IoU over the validation set, after the epoch.
        best_val_iou: the highest so far.
        learning_rate: of the epoch's last step.
        seconds: that the epoch took.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_iou: float
    best_val_iou: float
    learning_rate: float
    seconds: float


def out_of_patience(records: tuple[EpochRecord, ...], patience: int | None) -> bool:
    """Whether so many epochs have passed since the best one; never where ``patience`` is None."""
    if patience is None or not records:
        return False
    best = max(records, key=lambda record: record.val_iou)
    return records[-1].epoch - best.epoch >= patience


def write_curve(path: Path, records: tuple[EpochRecord, ...]) -> None:
    """All epochs so far as CSV, in one stroke.

    Raises:
        TrainingError: it cannot be written.
    """
    with run_file(path) as part, part.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, [field.name for field in fields(EpochRecord)])
        writer.writeheader()
        writer.writerows(asdict(record) for record in records)
