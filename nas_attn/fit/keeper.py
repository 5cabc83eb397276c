"""What is kept after every epoch: the best weights, a checkpoint to go on from, the curve."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Checkpoint

from nas_attn.errors import DivergedError
from nas_attn.fit.curve import EpochRecord, StepRecord, write_curve
from nas_attn.fit.lesson import SegmentationModule
from nas_attn.fit.run_file import run_file


class CheckpointCallback(Checkpoint):
    """Writes the files of a training after every epoch, each in one stroke, and stops where patience ends.

    Its state, plain numbers, travels in the checkpoint; so a training that is taken up again has one curve.

    Args:
        checkpoint: where to write what the training can go on from.
        curve: where to write the curve (CSV).
        keep_best: writes the weights; called with the epoch's record when its IoU is the highest so far.
        patience: epochs without a better IoU after which training stops; None for never.
        report: called after every step and every epoch, in one process only.
    """

    def __init__(
        self,
        checkpoint: Path,
        curve: Path,
        keep_best: Callable[[EpochRecord], None],
        patience: int | None,
        report: Callable[[StepRecord | EpochRecord], None],
    ) -> None:
        self.records: tuple[EpochRecord, ...] = ()
        self._checkpoint = checkpoint
        self._curve = curve
        self._keep_best = keep_best
        self._patience = patience
        self._report = report
        self._started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Plain values only."""
        return {"records": [asdict(record) for record in self.records]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of ``state_dict``."""
        self.records = tuple(EpochRecord(**values) for values in state_dict["records"])

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """A training that had ended for want of patience ends again at once."""
        trainer.should_stop = self._out_of_patience

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Say how far the epoch is."""
        if trainer.is_global_zero:
            self._report(StepRecord(trainer.current_epoch + 1, batch_idx + 1))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write everything down; Lightning has validated by now.

        Raises:
            DivergedError: the training loss stopped being finite.
            TrainingError: a file cannot be written.
        """
        assert isinstance(pl_module, SegmentationModule)
        record = self._record(trainer, pl_module)
        best_so_far = max((old.val_iou for old in self.records), default=-1.0)
        self.records = (*self.records, record)
        if trainer.is_global_zero:
            if record.val_iou > best_so_far:
                self._keep_best(record)
            write_curve(self._curve, self.records)
        trainer.should_stop = trainer.should_stop or self._out_of_patience
        self._save(trainer)
        if trainer.is_global_zero:
            self._report(record)  # last: what is reported can be gone on from

    def _save(self, trainer: lightning.Trainer) -> None:
        """All processes take part in the checkpoint and one writes it.

        By itself Lightning moves it from the system's folder of temporary files, and that is a copy, which a kill
        can cut short, where they are on different disks.
        """
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self._checkpoint)
            return
        with run_file(self._checkpoint) as part:
            trainer.save_checkpoint(part)

    def _record(self, trainer: lightning.Trainer, lesson: SegmentationModule) -> EpochRecord:
        train_loss = float(trainer.callback_metrics["train_loss"])
        epoch = trainer.current_epoch + 1
        if not math.isfinite(train_loss):
            raise DivergedError(
                f"the training loss is {train_loss} in epoch {epoch}; a lower learning rate may help"
            )
        assert lesson.validation is not None
        return EpochRecord(
            epoch=epoch,
            train_loss=train_loss,
            val_loss=lesson.validation.loss,
            val_iou=lesson.validation.iou,
            best_val_iou=max(lesson.validation.iou, *(old.val_iou for old in self.records), -1.0),
            learning_rate=lesson.learning_rate,
            seconds=time.perf_counter() - self._started,
        )

    @property
    def _out_of_patience(self) -> bool:
        if self._patience is None or not self.records:
            return False
        best = max(self.records, key=lambda record: record.val_iou)
        return self.records[-1].epoch - best.epoch >= self._patience
