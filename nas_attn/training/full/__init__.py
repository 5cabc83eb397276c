"""Full training of an architecture with Lightning, and prediction with the trained weights."""

from __future__ import annotations

from nas_attn.training.full.full_training import train
from nas_attn.training.full.plan import FitSettings
from nas_attn.training.full.prediction import Prediction, PredictionReport, predict
from nas_attn.training.full.result import Announcement, EpochRecord, FitResult, StepRecord, TrainedNetwork
from nas_attn.training.full.run_folder import architecture_id

__all__ = [
    "Announcement",
    "EpochRecord",
    "FitResult",
    "FitSettings",
    "Prediction",
    "PredictionReport",
    "StepRecord",
    "TrainedNetwork",
    "architecture_id",
    "predict",
    "train",
]
