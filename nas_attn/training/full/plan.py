"""Settings, plan and hardware of a full training, decided before it starts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt

from nas_attn.budget import Budget
from nas_attn.clips import every_window
from nas_attn.config.settings import ACCELERATORS, ClassWeights, Count, Foreground, LongestSide, Loss, Seed
from nas_attn.data import Dataset
from nas_attn.document import field_problems, one_of
from nas_attn.errors import TrainingError
from nas_attn.losses import loss_text
from nas_attn.training import Precision, Recipe

STEPS = 3000
_LEAST_EPOCHS = 20
_CROP = 256
_Count = Annotated[int, Ge(1)]
_BESIDE_THE_RECIPE = (
    *("encoder_share", "optimiser", "muon_factor"),
    *("loss", "class_weights", "foreground", "multi_label"),
)
"""Settings of the recipe that stand beside it in ``run.json``."""


@dataclass(frozen=True)
class FitSettings:
    """How to train an architecture in full; settings that are None are chosen to suit the data.

    Args:
        epochs: passes over the training images; None for enough epochs to make 3000 steps, at least 20.
        batch_size: crops of one step, summed over all devices.
        crop: side of the square training crops, in pixels; None for 256, or less if the images are smaller.
        learning_rate: peak of the one-cycle schedule; None for that of the search.
        seed: of the starting weights, the order and the crops.
        patience: training stops after this many epochs without a better validation IoU. None trains to the end,
            where the learning rate is low and most of the gain is made.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        devices: number of processors that train together; None for all GPUs, or one CPU process.
        against_plain: also train the baseline, in the same way, and compare.
        longest_side: the size to which larger images were shrunk on reading, which ``predict`` must repeat; None
            if they were not.
        loss: name of the loss; None for that of the search.
        class_weights: ``none``, ``auto`` or numbers; None for those of the search.
        foreground: share of the crops that are centred on foreground; None for that of the search.
    Raises:
        TrainingError: a value is out of its range; all such values are named together.
    """

    epochs: _Count | None = None
    batch_size: Count = 16
    crop: Annotated[int, Ge(16)] | None = None
    learning_rate: Annotated[float, Gt(0), Lt(math.inf)] | None = None
    seed: Seed = 0
    patience: _Count | None = None
    accelerator: Annotated[str, one_of(*ACCELERATORS)] = "auto"
    devices: _Count | None = 1
    against_plain: bool = False
    longest_side: LongestSide | None = None
    loss: Loss | None = None
    class_weights: ClassWeights | None = None
    foreground: Foreground | None = None

    def __post_init__(self) -> None:
        if found := field_problems(FitSettings, vars(self)):
            raise TrainingError([f"{name}: {problem}" for name, problem in found])


@dataclass(frozen=True)
class FitPlan:
    """A training in which every setting has a value.

    Args:
        epochs: passes over the training images; for clips, over all windows of ``frames``.
        steps_per_epoch: optimiser steps of one epoch.
        batch_size: crops of one step, summed over all devices.
        crop: side of the crops, in pixels.
        recipe: that of the search, with the requested changes.
        seed: of the starting weights, the order and the crops.
        patience: training stops after this many epochs without a better validation IoU; None to train to the end.
        longest_side: the size to which larger images were shrunk on reading; None if they were not.
        frames: T of the windows of clips; 1 for still images.
    """

    epochs: int
    steps_per_epoch: int
    batch_size: int
    crop: int
    recipe: Recipe
    seed: int
    patience: int | None
    longest_side: int | None
    frames: int

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.epochs * self.steps_per_epoch

    @property
    def budget(self) -> Budget:
        """The budget of a search run with the same steps, crops and batches."""
        return Budget(self.steps, self.crop, self.batch_size)

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON, including the whole recipe: a run resumes only with its own recipe."""
        recipe = {**asdict(self.recipe), "class_weights": list(self.recipe.class_weights)}
        beside = {name: recipe.pop(name) for name in _BESIDE_THE_RECIPE}
        return {
            "epochs": self.epochs,
            "steps_per_epoch": self.steps_per_epoch,
            "batch_size": self.batch_size,
            "crop": self.crop,
            "learning_rate": recipe.pop("peak_learning_rate"),
            "seed": self.seed,
            "patience": self.patience,
            "longest_side": self.longest_side,
            "frames": self.frames,
            **beside,
            "recipe": recipe,
        }

    def __str__(self) -> str:
        return (
            f"{self.epochs} epochs of {self.steps_per_epoch} steps, each of {self.batch_size} crops of "
            f"{self.crop} px{f', each of {self.frames} frames' if self.frames > 1 else ''}, seed {self.seed}"
        )

    @property
    def loss_text(self) -> str:
        """The loss and the crops that it is computed on, in words."""
        recipe = self.recipe
        return loss_text(recipe.loss, recipe.class_weights, recipe.foreground, recipe.multi_label)


def plan_fit(
    settings: FitSettings, dataset: Dataset, min_image_size: int, frames: int = 1, recipe: Recipe | None = None
) -> FitPlan:
    """Fill in the settings that are None.

    Args:
        settings: the requested settings.
        dataset: the data to train on.
        min_image_size: the smallest side that the network can take.
        frames: T of the network.
        recipe: of the training; None is that of a search in nas-attn's own U-Net.
    Raises:
        TrainingError: the crop is too small for the network.
    """
    recipe = recipe or Recipe()
    least = 2 * min_image_size  # a single pixel at the bottleneck has no variance for batch normalisation
    if settings.crop is not None and settings.crop < least:
        raise TrainingError(f"crop is {settings.crop}; for a network of this depth it must be at least {least}")
    images = dataset.train
    windows = every_window(images.clips or (1,) * len(images), frames)
    steps_per_epoch = -(-len(windows) // settings.batch_size)
    return FitPlan(
        epochs=settings.epochs or max(_LEAST_EPOCHS, -(-STEPS // steps_per_epoch)),
        steps_per_epoch=steps_per_epoch,
        batch_size=settings.batch_size,
        crop=settings.crop or _suitable_crop(dataset, least),
        recipe=replace(recipe, peak_learning_rate=settings.learning_rate or recipe.peak_learning_rate),
        seed=settings.seed,
        patience=settings.patience,
        longest_side=settings.longest_side,
        frames=frames,
    )


def _suitable_crop(dataset: Dataset, least: int) -> int:
    longest = max(*dataset.train.heights, *dataset.train.widths)
    return max(least, min(_CROP, -(-longest // least) * least))


@dataclass(frozen=True)
class Hardware:
    """The processors of a training.

    Args:
        accelerator: ``cpu`` or ``cuda``.
        devices: number of processors, each with its own process.
        precision: number format and memory layout.
    """

    accelerator: str
    devices: int
    precision: Precision

    @property
    def device(self) -> torch.device:
        """The device on which the results are scored."""
        return torch.device(self.accelerator)

    def __str__(self) -> str:
        number = f"{self.devices} x " if self.devices > 1 else ""
        numbers = "bfloat16" if self.precision.bfloat16 else "float32"
        return f"{number}{self.accelerator}, {numbers}"


def choose_hardware(settings: FitSettings) -> Hardware:
    """The hardware that the settings request.

    Raises:
        TrainingError: there is no GPU, or too few; or the batch cannot be shared out evenly.
    """
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if settings.accelerator == "cuda" and not n_gpus:
        raise TrainingError("accelerator is 'cuda', but torch finds no GPU here; leave it out, or give 'cpu'")
    on_gpu = n_gpus > 0 and settings.accelerator != "cpu"
    devices = settings.devices or (n_gpus if on_gpu else 1)
    if on_gpu and devices > n_gpus:
        raise TrainingError(f"devices is {devices}, but torch finds {n_gpus} GPU{'s' if n_gpus > 1 else ''} here")
    if settings.batch_size % devices:
        raise TrainingError(
            f"batch_size is {settings.batch_size}, which cannot be divided evenly among {devices} "
            f"devices; give a multiple of {devices}"
        )
    bfloat16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    return Hardware("cuda" if on_gpu else "cpu", devices, Precision(bfloat16, channels_last=on_gpu))
