"""What a full training can be told."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas_attn.errors import TrainingError
from nas_attn.training import Recipe

ACCELERATORS = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class FitSettings:
    """How to train an architecture in full; what is left out is chosen to suit the data.

    Args:
        epochs: passes over the training images; None for as many as make 3000 steps, at least 20.
        batch_size: crops of one step, those of all devices together.
        crop: side of the square training crops, in pixels; None for 256, or less where the images are
            smaller.
        learning_rate: peak of the one-cycle schedule.
        seed: of the starting weights, the order and the crops.
        patience: epochs without a better validation IoU after which training stops; None to train to the
            end, where the learning rate has come down and most of the gain is made.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        devices: how many processors train together; None for all GPUs, or one CPU process.
        against_plain: also train the plain U-Net, in the same way, and compare.
        longest_side: the size to which larger images were reduced on reading, which ``predict`` must
            repeat; None where they were left as they are.
    Raises:
        TrainingError: a value is out of its range; all such are named together.
    """

    epochs: int | None = None
    batch_size: int = 16
    crop: int | None = None
    learning_rate: float = Recipe().peak_learning_rate
    seed: int = 0
    patience: int | None = None
    accelerator: str = "auto"
    devices: int | None = 1
    against_plain: bool = False
    longest_side: int | None = None

    def __post_init__(self) -> None:
        found = [
            f"{name} is {value!r}; it must be a whole number of at least {least}"
            for name, value, least in (
                ("epochs", self.epochs, 1),
                ("batch_size", self.batch_size, 1),
                ("crop", self.crop, 16),
                ("seed", self.seed, 0),
                ("patience", self.patience, 1),
                ("devices", self.devices, 1),
                ("longest_side", self.longest_side, 1),
            )
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least)
        ]
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            found.append(f"learning_rate is {self.learning_rate!r}; it must be a number above 0")
        if self.accelerator not in ACCELERATORS:
            found.append(f"accelerator is {self.accelerator!r}; it must be {' | '.join(ACCELERATORS)}")
        if found:
            raise TrainingError(found)
