"""What a full training is told, what it will do and where: decided before it starts."""

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
"""What of it stands beside it in ``run.json``."""


@dataclass(frozen=True)
class FitSettings:
    """How to train an architecture in full; what is left out is chosen to suit the data.

    Args:
        epochs: passes over the training images; None for as many as make 3000 steps, at least 20.
        batch_size: crops of one step, those of all devices together.
        crop: side of the square training crops, in pixels; None for 256, or less where the images are
            smaller.
        learning_rate: peak of the one-cycle schedule; None for that of the search.
        seed: of the starting weights, the order and the crops.
        patience: epochs without a better validation IoU after which training stops; None to train to the
            end, where the learning rate has come down and most of the gain is made.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        devices: how many processors train together; None for all GPUs, or one CPU process.
        against_plain: also train the plain U-Net, in the same way, and compare.
        longest_side: the size to which larger images were reduced on reading, which ``predict`` must
            repeat; None where they were left as they are.
        loss: name of the loss; None for that of the search.
        class_weights: ``none``, ``auto`` or numbers; None for those of the search.
        foreground: share of the crops that are centred on foreground; None for that of the search.
    Raises:
        TrainingError: a value is out of its range; all such are named together.
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
    """A training with nothing left open.

    Args:
        epochs: passes over the training images; of clips, over all windows of ``frames``.
        steps_per_epoch: optimiser steps of one of them.
        batch_size: crops of one step, those of all devices together.
        crop: side of the crops, in pixels.
        recipe: that of the search, with what was asked for.
        seed: of the starting weights, the order and the crops.
        patience: epochs without a better validation IoU after which training stops; None to train to the end.
        longest_side: the size to which larger images were reduced on reading; None where they were not.
        frames: T of the windows of clips; 1 where images are still.
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
        """The same as a search's run has it."""
        return Budget(self.steps, self.crop, self.batch_size)

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON; the whole recipe among them, so that a run goes on under its own only."""
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
        """What it minimises, on which crops."""
        recipe = self.recipe
        return loss_text(recipe.loss, recipe.class_weights, recipe.foreground, recipe.multi_label)


def plan_fit(
    settings: FitSettings, dataset: Dataset, min_image_size: int, frames: int = 1, recipe: Recipe | None = None
) -> FitPlan:
    """Fill in what the settings leave open.

    Args:
        settings: what was asked for.
        dataset: what is to be learnt.
        min_image_size: the smallest side that the network can take.
        frames: T of the network.
        recipe: of the training; None is that of a search in nas-attn's own U-Net.
    Raises:
        TrainingError: the crop is too small for the network.
    """
    recipe = recipe or Recipe()
    least = 2 * min_image_size  # one pixel at the bottleneck has no variance for batch normalisation to learn
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
        devices: how many, each with a process of its own.
        precision: number format and memory layout.
    """

    accelerator: str
    devices: int
    precision: Precision

    @property
    def device(self) -> torch.device:
        """Where the results are judged."""
        return torch.device(self.accelerator)

    def __str__(self) -> str:
        number = f"{self.devices} x " if self.devices > 1 else ""
        numbers = "bfloat16" if self.precision.bfloat16 else "float32"
        return f"{number}{self.accelerator}, {numbers}"


def choose_hardware(settings: FitSettings) -> Hardware:
    """What the settings ask for, if it is there.

    Raises:
        TrainingError: there is no GPU, or not so many; or the batch cannot be shared out evenly.
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
