"""Reports of a full training: of its start, steps and epochs, and its final result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nas_attn.training.full.plan import FitPlan


@dataclass(frozen=True)
class Announcement:
    """The training that is about to start.

    Args:
        network: ``architecture`` or ``plain``.
        plan: of the training.
        hardware: in words.
    """

    network: str
    plan: FitPlan
    hardware: str


@dataclass(frozen=True)
class StepRecord:
    """Progress of a training within an epoch.

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
        seconds: duration of the epoch.
    """

    epoch: int
    train_loss: float
    val_loss: float
    val_iou: float
    best_val_iou: float
    learning_rate: float
    seconds: float


Report = Callable[[Announcement | StepRecord | EpochRecord], None]
"""A function that is called with the events of a training."""


@dataclass(frozen=True)
class TrainedNetwork:
    """One network after its training, scored with the weights of its best epoch.

    Args:
        placement: id.
        epochs: number of epochs that were trained.
        best_epoch: the epoch whose weights were kept, from 1.
        val_iou: mean IoU on the validation set at that epoch.
        test_iou: mean IoU on the test set: whole images, pooled, over the classes that its masks have.
        test_iou_per_class: None for a class that the masks lack.
        seconds: of training, validation included.
        test_metrics: value of every metric on the test set by its name; None if the masks have no class that the
            metric judges.
    """

    placement: str
    epochs: int
    best_epoch: int
    val_iou: float
    test_iou: float
    test_iou_per_class: tuple[float | None, ...]
    seconds: float
    test_metrics: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class FitResult:
    """A trained architecture, and the baseline beside it if requested.

    Args:
        architecture: id of the architecture.
        data: name of the data set.
        classes: names in the order of their indices.
        seed: of both trainings.
        device: in words.
        weights: the file with the weights.
        trained: result of the architecture.
        plain: result of the baseline with the same seed, recipe and batches; None if it was not trained.
    """

    architecture: str
    data: str
    classes: tuple[str, ...]
    seed: int
    device: str
    weights: Path
    trained: TrainedNetwork
    plain: TrainedNetwork | None = None

    @property
    def gain_points(self) -> float | None:
        """Test IoU minus the baseline's, in points (hundredths); None if the baseline was not trained."""
        return None if self.plain is None else 100 * (self.trained.test_iou - self.plain.test_iou)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "weights": self.weights.name, "gain_points": self.gain_points}
