"""Lightning's Trainer around the training step of the search: devices, checkpoints, TensorBoard, Ctrl-C."""

from __future__ import annotations

import logging
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_only

from nas_attn.architecture import Architecture
from nas_attn.data import Dataset, LabelledImages
from nas_attn.errors import DivergedError, TrainingError
from nas_attn.record import Score
from nas_attn.training import (
    DeviceImages,
    Precision,
    Segmenter,
    TrainingStep,
    loss_of,
    pack_images,
    score_images,
)
from nas_attn.training.full.plan import FitPlan, Hardware
from nas_attn.training.full.result import EpochRecord, StepRecord
from nas_attn.training.full.run_folder import run_file, write_curve

_FLUSH_SECONDS = 2
"""Ctrl-C can cut off TensorBoard's writer from the message that wakes it; it then ends after this time."""

_LOGGERS = ("lightning.pytorch", "lightning.fabric")
_NOT_FOR_US = (
    r".*smaller than the logging interval.*",  # the curve has a line for every epoch
    r"Checkpoint directory .* exists and is not empty.*",  # as it is when a training resumes
    r".*`ckpt_path` .* being used to resume.*",
    r"`broadcast_buffers` is deprecated.*",  # older versions of torch lack its successor
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning with a newer torch
)


class SegmentationModule(lightning.LightningModule):
    """The Trainer's view of a network: every training step is a ``TrainingStep``.

    It adds only tensors to a checkpoint, so that a checkpoint can be loaded without unpickling code.

    Args:
        module: the network, initialised, on the CPU.
        architecture: that of the network; says how images are normalised.
        dataset: the data to train on.
        plan: of the training.
        precision: number format and memory layout.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        architecture: Architecture,
        dataset: Dataset,
        plan: FitPlan,
        precision: Precision,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.module = module
        self.score: Score | None = None
        self.learning_rate = 0.0
        self._architecture, self._dataset, self._plan, self._precision = architecture, dataset, plan, precision
        self._step: TrainingStep
        self._val: DeviceImages

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """The step's optimisers, so that checkpoints contain their state; the network is on its device by now."""
        self._val = self._packed(self._dataset.val)
        self._step = TrainingStep(
            self.module,
            self._packed(self._dataset.train),
            self._plan.budget,
            self._plan.seed,
            recipe=self._plan.recipe,
            precision=self._precision,
            rank=self.global_rank,
            world_size=self.trainer.world_size,
            backward=self.manual_backward,
        )
        return self._step.optimisers

    def train_dataloader(self) -> range:
        """The numbers of an epoch's steps; each step finds its crops by its number."""
        return range(self._plan.steps_per_epoch)

    def on_train_epoch_start(self) -> None:
        """Continue where the previous epoch or a checkpoint ended."""
        self._step.go_to(self.current_epoch * self._plan.steps_per_epoch)

    def training_step(self, batch: int, batch_idx: int) -> None:
        """Take the next step."""
        number = self.current_epoch * self._plan.steps_per_epoch + batch
        self._step.prepare(number)
        self._step()
        self.learning_rate = self._step.learning_rates[number]
        self.log("learning_rate", self.learning_rate, on_step=True, on_epoch=False)

    def on_train_epoch_end(self) -> None:
        """Score the epoch, all processes together; recalibrate BatchNorm before the last score, as in a search."""
        if self.current_epoch + 1 == self._plan.epochs:
            self._step.recalibrate()
        images = self._val
        self.module.eval()
        network = self._architecture.network
        least, recipe = network.min_image_size, self._plan.recipe
        segmenter = Segmenter(self.module, images.mean, images.std, least, self._precision, recipe.multi_label)
        loss = loss_of(recipe, images.device)
        self.score = score_images(segmenter, images, network.classes, loss=loss)
        self.module.train()
        steps = self._plan.steps_per_epoch
        losses = self._step.losses[self.current_epoch * steps :][:steps]
        self.log("train_loss", losses.mean(), sync_dist=True)
        self.log_dict({"val_iou": self.score.iou, "val_loss": self.score.loss})

    def _packed(self, images: LabelledImages) -> DeviceImages:
        architecture = self._architecture
        return pack_images(images, architecture.mean, architecture.std, self.device, self._plan.frames)


class CheckpointCallback(Checkpoint):
    """Writes the files of a training after every epoch, each atomically, and stops when patience runs out.

    Its state, plain numbers, is part of the checkpoint, so a resumed training has one curve.

    Args:
        folder: of the run; gets checkpoints/last.ckpt and curve.csv.
        keep_best: writes the weights; called with the epoch's record if its IoU is the highest so far.
        patience: training stops after this many epochs without a better IoU; None for never.
        report: called after every step and every epoch, in one process only.
    """

    def __init__(
        self,
        folder: Path,
        keep_best: Callable[[EpochRecord], None],
        patience: int | None,
        report: Callable[[StepRecord | EpochRecord], None],
    ) -> None:
        self.checkpoint = folder / "checkpoints" / "last.ckpt"
        self.records: tuple[EpochRecord, ...] = ()
        self._curve = folder / "curve.csv"
        self._keep_best, self._patience, self._report = keep_best, patience, report
        self._started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """The records as plain values only."""
        return {"records": [asdict(record) for record in self.records]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the records; the inverse of ``state_dict``."""
        self.records = tuple(EpochRecord(**values) for values in state_dict["records"])

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop a resumed training at once if its patience has already run out."""
        trainer.should_stop = _out_of_patience(self.records, self._patience)

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
        """Report the progress within the epoch."""
        if trainer.is_global_zero:
            self._report(StepRecord(trainer.current_epoch + 1, batch_idx + 1))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write all files; the module has been scored by now.

        Raises:
            DivergedError: the training loss stopped being finite.
            TrainingError: a file cannot be written.
        """
        assert isinstance(pl_module, SegmentationModule)
        best_so_far = max((old.val_iou for old in self.records), default=-1.0)
        record = self._record(trainer, pl_module, best_so_far)
        self.records = (*self.records, record)
        if trainer.is_global_zero:
            if record.val_iou > best_so_far:
                self._keep_best(record)
            write_curve(self._curve, self.records)
        trainer.should_stop = trainer.should_stop or _out_of_patience(self.records, self._patience)
        self._save(trainer)
        if trainer.is_global_zero:
            self._report(record)  # last, so that the training can resume from every reported epoch

    def _save(self, trainer: lightning.Trainer) -> None:
        """Save the checkpoint; all processes take part, and one writes.

        By default Lightning moves the checkpoint from the system's temporary folder. If that is on another disk,
        the move is a copy, and a kill can cut it short.
        """
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self.checkpoint)
            return
        with run_file(self.checkpoint) as part:
            trainer.save_checkpoint(part)

    def _record(self, trainer: lightning.Trainer, module: SegmentationModule, best_so_far: float) -> EpochRecord:
        train_loss = float(trainer.callback_metrics["train_loss"])
        epoch = trainer.current_epoch + 1
        if not math.isfinite(train_loss):
            raise DivergedError(
                f"the training loss is {train_loss} in epoch {epoch}; a lower learning rate may help"
            )
        assert module.score is not None
        return EpochRecord(
            epoch=epoch,
            train_loss=train_loss,
            val_loss=module.score.loss,
            val_iou=module.score.iou,
            best_val_iou=max(module.score.iou, best_so_far),
            learning_rate=module.learning_rate,
            seconds=time.perf_counter() - self._started,
        )


def _out_of_patience(records: tuple[EpochRecord, ...], patience: int | None) -> bool:
    """Whether ``patience`` epochs have passed since the best one; never if it is None."""
    if patience is None or not records:
        return False
    best = max(records, key=lambda record: record.val_iou)
    return records[-1].epoch - best.epoch >= patience


def fit(
    module: SegmentationModule, plan: FitPlan, hardware: Hardware, callback: CheckpointCallback, folder: Path
) -> None:
    """Train a network in place, or resume a training that was stopped.

    Args:
        module: with the network.
        plan: of the training.
        hardware: of the training.
        callback: writes the files and keeps the curve.
        folder: of the run; gets tensorboard/.
    Raises:
        DivergedError: the loss stopped being finite.
        TrainingError: the checkpoint cannot be read, or a step needs more memory than the GPU has.
        KeyboardInterrupt: Ctrl-C; the next call resumes after the last finished epoch.
    """
    checkpoint = callback.checkpoint
    with lightning_warnings():
        trainer = _trainer(plan, hardware, folder, callback)
        on_interrupt = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(
                module, ckpt_path=_readable(checkpoint) if checkpoint.exists() else None, weights_only=True
            )
        except SystemExit:
            # Lightning turns Ctrl-C into an exit and then ignores the signal.
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
        except torch.OutOfMemoryError:
            raise TrainingError(
                f"the GPU's memory does not hold {plan.batch_size} crops of {plan.crop} pixels; give a smaller "
                "batch size or crop"
            ) from None
        finally:
            signal.signal(signal.SIGINT, on_interrupt)
        trainer.strategy.barrier()


def is_chief() -> bool:
    """Whether this is the one process, among those that train together, that writes files and reports."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)


@contextmanager
def lightning_warnings() -> Iterator[None]:
    """Silence Lightning's notes, and those warnings that are irrelevant here."""
    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in _NOT_FOR_US:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _trainer(plan: FitPlan, hardware: Hardware, folder: Path, callback: CheckpointCallback) -> lightning.Trainer:
    several = hardware.devices > 1
    return lightning.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        # Processes may score different numbers of batches, so forward passes must not exchange anything.
        strategy=DDPStrategy(broadcast_buffers=False) if several else "auto",
        sync_batchnorm=several and hardware.accelerator == "cuda",
        max_epochs=plan.epochs,
        callbacks=[callback],
        logger=TensorBoardLogger(save_dir=folder, name="", version="tensorboard", flush_secs=_FLUSH_SECONDS),
        log_every_n_steps=max(1, min(50, plan.steps_per_epoch)),
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_autolog_hparams=False,
    )


def _readable(checkpoint: Path) -> Path:
    """The checkpoint, if it contains only tensors and plain values.

    Raises:
        TrainingError: it is damaged, or could only be opened by running code.
    """
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise TrainingError(
            f"{checkpoint}: cannot be read ({reason}); delete the file to train from the start"
        ) from None
    return checkpoint
