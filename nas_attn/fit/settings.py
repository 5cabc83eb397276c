"""What a full training can be told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from nas_attn.config.settings import Count, LongestSide, Seed
from nas_attn.document import field_problems, one_of
from nas_attn.errors import TrainingError
from nas_attn.training import Recipe

ACCELERATORS = ("auto", "cpu", "cuda")
_Count = Annotated[int, Ge(1)]


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

    epochs: _Count | None = None
    batch_size: Count = 16
    crop: Annotated[int, Ge(16)] | None = None
    learning_rate: Annotated[float, Gt(0), Lt(math.inf)] = Recipe().peak_learning_rate
    seed: Seed = 0
    patience: _Count | None = None
    accelerator: Annotated[str, one_of(*ACCELERATORS)] = "auto"
    devices: _Count | None = 1
    against_plain: bool = False
    longest_side: LongestSide | None = None

    def __post_init__(self) -> None:
        if found := field_problems(FitSettings, vars(self)):
            raise TrainingError([f"{name}: {problem}" for name, problem in found])
