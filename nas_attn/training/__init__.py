"""One run of any ``nn.Module``: initialisation, batches, loss, schedule. Has never heard of a placement."""

from nas_attn.training.batchnorm import recalibrate_batchnorm
from nas_attn.training.gradients import add_gradients, why_whole
from nas_attn.training.graph import GraphPool
from nas_attn.training.images import DeviceImages
from nas_attn.training.initialise import initialise
from nas_attn.training.loop import TrainedRun, train_run
from nas_attn.training.loss import segmentation_loss
from nas_attn.training.mapped import read_mapped, write_mapped
from nas_attn.training.module_hooks import ModuleHooks
from nas_attn.training.precision import Precision
from nas_attn.training.recipe import Recipe
from nas_attn.training.seal import Stamp, broken_seal

__all__ = [
    "DeviceImages",
    "GraphPool",
    "ModuleHooks",
    "Precision",
    "Recipe",
    "Stamp",
    "TrainedRun",
    "add_gradients",
    "broken_seal",
    "initialise",
    "read_mapped",
    "recalibrate_batchnorm",
    "segmentation_loss",
    "train_run",
    "why_whole",
    "write_mapped",
]
