"""The search that a competent user would write by hand: Optuna, Lightning, DataLoader over PNG, torchmetrics.

Nothing in it is slow on purpose; it is what the tutorials of these libraries add up to. Only the network and its
attention modules come from nas-attn, so that both searches train the same thing for the same number of steps.
``versus_handwritten.py`` measures it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import optuna
import torch
import torchmetrics
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nas_attn.models.build import build_unet
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement
from nas_attn.training import segmentation_loss
from nas_attn.training.metrics import count_macs


@dataclass(frozen=True)
class Task:
    """What is trained.

    Args:
        folder: with images/ and masks/, each with train/ and val/ of equal names.
        network: the U-Net without attention.
        steps: optimiser steps of a trial.
        crop: side of the training crops in pixels.
        batch_size: crops of a step.
        mean: of each channel, in pixel units.
        std: of each channel, in pixel units.
        loader_workers: processes that read images.
        bfloat16: train in mixed precision.
    """

    folder: Path
    network: UNetConfig
    steps: int
    crop: int
    batch_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    loader_workers: int
    bfloat16: bool


class Pictures(Dataset[tuple[Tensor, Tensor]]):
    """PNG files, read when they are wanted."""

    def __init__(self, task: Task, split: str, *, augment: bool) -> None:
        self.images = sorted((task.folder / "images" / split).iterdir())
        self.masks = sorted((task.folder / "masks" / split).iterdir())
        self.crop = task.crop if augment else None
        self.mean = np.array(task.mean, np.float32)
        self.std = np.array(task.std, np.float32)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = (np.asarray(Image.open(self.images[index]).convert("RGB"), np.float32) - self.mean) / self.std
        mask = np.asarray(Image.open(self.masks[index]), np.int64)
        if self.crop is not None:
            top = random.randint(0, image.shape[0] - self.crop)
            left = random.randint(0, image.shape[1] - self.crop)
            window = (slice(top, top + self.crop), slice(left, left + self.crop))
            image, mask = image[window], mask[window]
            for axis in (0, 1):
                if random.random() < 0.5:
                    image, mask = np.flip(image, axis), np.flip(mask, axis)
            image = image * random.uniform(0.9, 1.1) + random.uniform(-0.1, 0.1)
        pixels = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
        return torch.from_numpy(pixels), torch.from_numpy(mask.copy())


class Segmentation(lightning.LightningModule):
    """A U-Net with AdamW and OneCycle."""

    def __init__(self, task: Task, placement: Placement) -> None:
        super().__init__()
        self.task = task
        self.network = build_unet(task.network, placement)
        self.iou = torchmetrics.JaccardIndex(task="multiclass", num_classes=task.network.classes)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, masks = batch
        loss = segmentation_loss(self.network(images), masks)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, masks = batch
        self.iou.update(self.network(images).argmax(1), masks)

    def on_validation_epoch_end(self) -> None:
        self.log("iou", self.iou.compute())
        self.iou.reset()

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW(self.parameters(), lr=2e-2, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=2e-2, total_steps=self.task.steps, pct_start=0.2
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def search(task: Task, placements: Sequence[Placement], storage: str) -> optuna.Study:
    """Evaluate these placements, one trial each."""
    train = DataLoader(
        Pictures(task, "train", augment=True),
        batch_size=task.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=task.loader_workers,
        persistent_workers=task.loader_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    val = DataLoader(
        Pictures(task, "val", augment=False),
        batch_size=4 * task.batch_size,
        num_workers=task.loader_workers,
        persistent_workers=task.loader_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    kinds = sorted({str(spec) for placement in placements for _, spec in placement})

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        chosen = {
            str(location): trial.suggest_categorical(str(location), kinds) for location in task.network.locations
        }
        placement = Placement.of(
            {Location.parse(location): AttentionSpec.parse(kind) for location, kind in chosen.items()}
        )
        lightning.seed_everything(trial.number, verbose=False)
        module = Segmentation(task, placement)
        trainer = lightning.Trainer(
            max_steps=task.steps,
            accelerator="auto",
            devices=1,
            precision="bf16-mixed" if task.bfloat16 else "32-true",
            gradient_clip_val=5.0,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, train)
        trainer.limit_val_batches = 1.0
        (result,) = trainer.validate(module, val, verbose=False)
        macs = count_macs(module.network, (1, task.network.in_channels, task.crop, task.crop))
        return result["iou"], macs

    study = optuna.create_study(storage=storage, directions=["maximize", "minimize"])
    for placement in placements:
        study.enqueue_trial({str(location): str(spec) for location, spec in placement})
    study.optimize(objective, n_trials=len(placements))
    return study
