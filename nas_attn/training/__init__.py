"""The training pipeline of any ``nn.Module``: batches, augmentation, loss, step, loop, score.

Search and full training use the same step and the same scorer. Only ``start``, which builds the network that a run
begins with, knows about placements.
"""

from nas_attn.training.batchnorm import recalibrate_batchnorm
from nas_attn.training.class_frequencies import (
    class_counts,
    class_weights_of,
    label_counts,
    overlap_counts,
    start_at_frequencies,
)
from nas_attn.training.gradients import add_gradients, why_whole
from nas_attn.training.graph import GraphPool
from nas_attn.training.images import DeviceImages, pack_images
from nas_attn.training.loop import TrainedRun, train_run
from nas_attn.training.loss import build_loss, loss_of, segmentation_loss
from nas_attn.training.mapped import read_mapped, write_mapped
from nas_attn.training.module_hooks import ModuleHooks
from nas_attn.training.precision import Precision
from nas_attn.training.recipe import Recipe, recipe_for, statistics_for
from nas_attn.training.scoring import score_images, segment_images
from nas_attn.training.seal import Stamp, broken_seal
from nas_attn.training.segmenter import Segmenter
from nas_attn.training.start import fresh_network, initialise
from nas_attn.training.step import TrainingStep

__all__ = [
    "DeviceImages",
    "GraphPool",
    "ModuleHooks",
    "Precision",
    "Recipe",
    "Segmenter",
    "Stamp",
    "TrainedRun",
    "TrainingStep",
    "add_gradients",
    "broken_seal",
    "build_loss",
    "class_counts",
    "class_weights_of",
    "fresh_network",
    "initialise",
    "label_counts",
    "loss_of",
    "overlap_counts",
    "pack_images",
    "read_mapped",
    "recalibrate_batchnorm",
    "recipe_for",
    "score_images",
    "segment_images",
    "segmentation_loss",
    "start_at_frequencies",
    "statistics_for",
    "train_run",
    "why_whole",
    "write_mapped",
]
