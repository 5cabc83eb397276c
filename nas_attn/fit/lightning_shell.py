"""One training with Lightning's Trainer, from the start or from where it was stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import lightning.pytorch as lightning
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import rank_zero_only

from nas_attn.data import Dataset
from nas_attn.errors import TrainingError
from nas_attn.fit.curve import EpochRecord, StepRecord
from nas_attn.fit.hardware import Hardware
from nas_attn.fit.keeper import CheckpointCallback
from nas_attn.fit.lesson import SegmentationModule
from nas_attn.fit.plan import FitPlan
from nas_attn.fit.quiet import lightning_warnings
from nas_attn.training import Recipe
from nas_attn.training.segmenter import Segmenter


def teach(
    segmenter: Segmenter,
    dataset: Dataset,
    plan: FitPlan,
    hardware: Hardware,
    folder: Path,
    keep_best: Callable[[EpochRecord], None],
    report: Callable[[StepRecord | EpochRecord], None],
) -> tuple[EpochRecord, ...]:
    """Train a network in place, or go on with a training that was stopped.

    Leaves ``checkpoints/last.ckpt``, ``curve.csv`` and ``tensorboard/`` in the folder.

    Args:
        segmenter: the network, initialised, on the CPU.
        dataset: what it is to learn.
        plan: how.
        hardware: where.
        folder: of the run.
        keep_best: writes the weights; called after every epoch whose validation IoU is the highest so far.
        report: called after every step and every epoch, in one process only.
    Returns:
        all epochs of the training, those before it was stopped too.
    Raises:
        DivergedError: the loss stopped being finite.
        TrainingError: the checkpoint cannot be read, or a step needs more memory than there is.
        KeyboardInterrupt: Ctrl-C; the training goes on from its last epoch when it is called again.
    """
    checkpoint = folder / "checkpoints" / "last.ckpt"
    keeper = CheckpointCallback(checkpoint, folder / "curve.csv", keep_best, plan.patience, report)
    if hardware.accelerator == "cuda":
        segmenter.module.to(memory_format=torch.channels_last)
    with lightning_warnings():
        trainer = _trainer(plan, hardware, folder, keeper)
        on_interrupt = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(
                SegmentationModule(segmenter, dataset, plan),
                ckpt_path=_readable(checkpoint) if checkpoint.exists() else None,
                weights_only=True,
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
    return keeper.records


def is_chief() -> bool:
    """Whether this process is the one, of all that train together, that writes files and speaks."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)


def _trainer(plan: FitPlan, hardware: Hardware, folder: Path, keeper: CheckpointCallback) -> lightning.Trainer:
    several = hardware.devices > 1
    return lightning.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        # Evaluation is not in step across processes, so nothing may be exchanged in its forward passes.
        strategy=DDPStrategy(broadcast_buffers=False) if several else "auto",
        sync_batchnorm=several and hardware.accelerator == "cuda",
        precision=hardware.precision,
        max_epochs=plan.epochs,
        gradient_clip_val=Recipe().clip_norm,
        callbacks=[keeper],
        logger=TensorBoardLogger(save_dir=folder, name="", version="tensorboard"),
        log_every_n_steps=max(1, min(50, plan.steps_per_epoch)),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_autolog_hparams=False,
    )


def _readable(checkpoint: Path) -> Path:
    """The checkpoint, if it holds tensors and plain values only.

    Raises:
        TrainingError: it is damaged, or would have to run code to be opened.
    """
    try:
        torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise TrainingError(
            f"{checkpoint}: cannot be read ({reason}); delete the file to train from the start"
        ) from None
    return checkpoint
