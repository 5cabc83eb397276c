"""Full training of an architecture with Lightning, and prediction with what came out."""

from __future__ import annotations

from nas_attn.fit.curve import EpochRecord, StepRecord
from nas_attn.fit.full_training import train
from nas_attn.fit.plan import FitSettings
from nas_attn.fit.prediction import Prediction, PredictionReport, predict
from nas_attn.fit.result import FitResult, TrainedNetwork
from nas_attn.fit.run import Announcement
from nas_attn.fit.run_folder import architecture_id

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
