"""One complete, annealed run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_attn.budget import Budget
from nas_attn.errors import DivergedError
from nas_attn.record import CurvePoint
from nas_attn.steps import STEPS
from nas_attn.training.graph import Engine, GraphPool, capture, eager
from nas_attn.training.images import DeviceImages
from nas_attn.training.module_hooks import DrawsGlobally
from nas_attn.training.precision import Precision
from nas_attn.training.recipe import Recipe
from nas_attn.training.step import TrainingStep

_CURVE_POINTS = 20
_LEAST_GRAPH_STEPS = 32
"""In shorter runs, recording a graph takes longer than it saves."""


@dataclass(frozen=True)
class TrainedRun:
    """The curve and the engine of a finished run.

    Args:
        curve: the training loss, at about twenty points.
        engine: how its steps were taken: ``eager``, ``cuda graph``, or ``eager:`` and the reason.
    """

    curve: tuple[CurvePoint, ...]
    engine: str


def train_run(
    module: nn.Module,
    images: DeviceImages,
    budget: Budget,
    seed: int,
    *,
    recipe: Recipe | None = None,
    precision: Precision | None = None,
    graphs: bool = True,
    pool: GraphPool | None = None,
    parts: int = 1,
) -> TrainedRun:
    """Train a module in place for the whole budget, and leave it in eval mode, ready to be scored.

    The same module, images, budget and seed give the same result; on a CPU with one thread it is the same bit for
    bit. The module's parameters become views of a few flat buffers.

    Args:
        module: initialised, on the device of the images; maps (N, C, H, W) to logits (N, K, H, W).
        images: the training set.
        budget: number and size of the batches.
        seed: of the order and the crops.
        recipe: None is the frozen recipe.
        precision: None is float32.
        graphs: take the steps as CUDA graphs if the device and the module allow it.
        pool: memory that the graphs of this process share; None uses memory for this run alone.
        parts: number of parts that a batch is split into, to save memory.
    Raises:
        DivergedError: the loss or a weight stopped being finite.
    """
    recipe, precision = recipe or Recipe(), precision or Precision()
    as_graph = graphs and parts == 1 and images.device.type == "cuda" and budget.steps >= _LEAST_GRAPH_STEPS
    step = TrainingStep(
        module,
        images,
        budget,
        seed,
        recipe=recipe,
        precision=precision,
        capturable=as_graph,
        parts=parts,
    )
    module.train()
    with torch.random.fork_rng(devices=[], enabled=isinstance(module, DrawsGlobally)):
        step.prepare(0)
        engine = capture(step, images.device, pool) if as_graph else eager(step)
        curve = _optimise(step, engine, budget.steps)
        _check_weights(module, budget.steps)
        step.recalibrate()
    return TrainedRun(curve, engine.name if parts == 1 else f"{engine.name}, batches in {parts} parts")


def _optimise(step: TrainingStep, engine: Engine, steps: int) -> tuple[CurvePoint, ...]:
    """Take all steps; wait for the device only at the points of the curve."""
    curve: list[CurvePoint] = []
    every = max(1, steps // _CURVE_POINTS)
    begun = 0
    STEPS.total = steps
    for taken in range(1, steps + 1):
        step.prepare(taken - 1)
        engine.step()
        STEPS.taken = taken
        if taken % every == 0 or taken == steps:
            curve.append(_curve_point(taken, step.losses[begun:taken]))
            begun = taken
    return tuple(curve)


def _curve_point(step: int, losses: Tensor) -> CurvePoint:
    mean = losses.mean().item()
    if not math.isfinite(mean):
        raise DivergedError(f"the training loss is {mean} by step {step}; a lower peak_learning_rate may help")
    return CurvePoint(step, mean)


def _check_weights(module: nn.Module, step: int) -> None:
    broken = [name for name, tensor in module.named_parameters() if not tensor.isfinite().all()]
    if broken:
        raise DivergedError(f"the weights are not finite after step {step}: {', '.join(broken[:3])}")
