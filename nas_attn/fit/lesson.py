"""What Lightning's Trainer is given: any network with its loss, its optimiser and its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nas_attn.data import Dataset
from nas_attn.fit.crops import CropBatch, CropPlan, CropSource, EpochSteps, tinted
from nas_attn.fit.plan import FitPlan, windows_of
from nas_attn.fit.whole import WholeBatch, WholeImages
from nas_attn.measure import IntersectionOverUnion
from nas_attn.training import ModuleHooks, Recipe, segmentation_loss
from nas_attn.training.optimiser import build_optimiser, build_schedule, kernels_and_others
from nas_attn.training.segmenter import Segmenter

_MOST_OF_THE_DEVICE = 0.25


@dataclass(frozen=True)
class Validation:
    """How the network stands after an epoch.

    Args:
        iou: mean IoU over the validation set.
        loss: mean loss of its images.
    """

    iou: float
    loss: float


class SegmentationModule(lightning.LightningModule):
    """Teaches one network one data set.

    Nothing of it but tensors goes into a checkpoint, so that checkpoints need no unpickling of code.

    Args:
        segmenter: the network, initialised, on the CPU.
        dataset: what it is to learn.
        plan: how.
    """

    def __init__(self, segmenter: Segmenter, dataset: Dataset, plan: FitPlan) -> None:
        super().__init__()
        self.module: nn.Module = segmenter.module
        self.validation: Validation | None = None
        self.learning_rate = 0.0
        self._segmenter = segmenter
        self._hooks = ModuleHooks(segmenter.module, plan.steps, plan.seed)
        self._dataset = dataset
        self._plan = plan
        self._source = CropSource.of(dataset.train, plan.crop)
        self._iou = IntersectionOverUnion(len(dataset.classes))
        self._losses: list[Tensor] = []

    def configure_optimizers(self) -> Any:
        """AdamW and OneCycle, stepped with every optimiser step."""
        recipe = Recipe(peak_learning_rate=self._plan.learning_rate)
        optimiser = build_optimiser(*kernels_and_others(self.module), recipe)
        schedule = build_schedule(optimiser, recipe, self._plan.steps)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> DataLoader[CropBatch]:
        """The crops of each step, as yet only drawn: cutting them is an indexing operation on the device."""
        plan = self._plan
        windows = windows_of(self._dataset.train, plan.frames)
        crops = CropPlan(
            len(windows),
            plan.batch_size,
            plan.seed,
            self.global_rank,
            self.trainer.world_size,
            starts=windows,
            frames=plan.frames,
        )
        return DataLoader(
            crops, batch_size=None, sampler=EpochSteps(lambda: self.global_step, plan.steps_per_epoch)
        )

    def val_dataloader(self) -> DataLoader[WholeBatch]:
        """The validation images, whole, shared out among the processes."""
        images = WholeImages(
            self._dataset.val,
            self._plan.batch_size,
            self.global_rank,
            self.trainer.world_size,
            frames=self._plan.frames,
        )
        return DataLoader(images, batch_size=None)

    def on_fit_start(self) -> None:
        """Bring the training set to a GPU that has room for it."""
        if self.device.type == "cuda":
            memory = torch.cuda.get_device_properties(self.device).total_memory
            if self._source.nbytes < memory * _MOST_OF_THE_DEVICE:
                self._source = self._source.to(self.device)

    def training_step(self, batch: CropBatch, batch_idx: int) -> Tensor:
        """The loss of one step."""
        self.learning_rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        pixels, masks = (tensor.to(self.device) for tensor in self._source.cut(batch))
        inputs = tinted(self._segmenter.normalisation.apply(pixels), batch.draws)
        self._hooks.begin_step(torch.tensor([self.global_step], device=self.device))
        loss = self._hooks.loss(self.module(self._arranged(inputs)), masks)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(masks), sync_dist=True)
        self.log("learning_rate", self.learning_rate, on_step=True, on_epoch=False)
        return loss

    def validation_step(self, batch: WholeBatch, batch_idx: int) -> None:
        """Count the pixels of a batch."""
        if len(batch.masks):
            logits, masks = self._segmenter.logits(batch.pixels)[batch.is_new], batch.masks[batch.is_new]
            self._losses.append(segmentation_loss(logits, masks) * len(masks))
            self._iou.update(logits.argmax(1), masks)
        else:
            self._iou.update(batch.masks, batch.masks)

    def on_validation_epoch_end(self) -> None:
        """Judge the epoch, all processes together."""
        iou, _ = self._iou.compute()
        loss = torch.stack([*self._losses, torch.zeros((), device=self.device)]).sum()
        loss = self.trainer.strategy.reduce(loss, reduce_op="sum") / len(self._dataset.val)
        self.validation = Validation(iou, float(loss))
        self._iou.reset()
        self._losses.clear()
        self.log_dict({"val_iou": iou, "val_loss": self.validation.loss}, sync_dist=True)

    def _arranged(self, inputs: Tensor) -> Tensor:
        """On a GPU in the layout in which convolutions are fastest."""
        return inputs.contiguous(memory_format=torch.channels_last) if self.device.type == "cuda" else inputs
