"""One complete, annealed run."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas_attn.budget import Budget
from nas_attn.errors import DivergedError
from nas_attn.record import CurvePoint
from nas_attn.training.batches import BatchPlan, take_batch
from nas_attn.training.batchnorm import recalibrate_batchnorm
from nas_attn.training.images import DeviceImages
from nas_attn.training.loss import segmentation_loss
from nas_attn.training.optimiser import build_optimiser, build_schedule
from nas_attn.training.precision import Precision
from nas_attn.training.recipe import Recipe

_CURVE_POINTS = 20


def train_run(
    module: nn.Module,
    images: DeviceImages,
    budget: Budget,
    seed: int,
    *,
    recipe: Recipe | None = None,
    precision: Precision | None = None,
) -> tuple[CurvePoint, ...]:
    """Train a module in place for the whole budget; it is then in eval mode, ready to be judged.

    With the same module, images, budget and seed the result is the same, on a CPU with one thread bit for
    bit.

    Args:
        module: initialised, on the device of the images; maps (N, C, H, W) to logits (N, K, H, W).
        images: the training set.
        budget: number and size of the batches.
        seed: of the order and the crops.
        recipe: the frozen recipe unless another is given.
        precision: float32 unless another is given.
    Returns:
        the learning curve: about twenty points.
    Raises:
        DivergedError: the loss or a weight stopped being finite.
    """
    recipe, precision = recipe or Recipe(), precision or Precision()
    total = budget.steps + recipe.recalibration_batches
    plan = BatchPlan.draw(len(images), total, budget, seed, images.pixels.device)

    def batch(step: int) -> tuple[Tensor, Tensor]:
        inputs, masks = take_batch(images, plan.images[step], plan.draws[step], budget.image_size, recipe)
        return precision.arrange(inputs), masks

    curve = _optimise(module, batch, budget.steps, recipe, precision)
    with precision.autocast(images.pixels.device):
        recalibrate_batchnorm(module, (batch(step)[0] for step in range(budget.steps, total)), module)
    return curve


def _optimise(
    module: nn.Module,
    batch: Callable[[int], tuple[Tensor, Tensor]],
    steps: int,
    recipe: Recipe,
    precision: Precision,
) -> tuple[CurvePoint, ...]:
    optimiser = build_optimiser(module, recipe)
    schedule = build_schedule(optimiser, recipe, steps)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.train()
    curve: list[CurvePoint] = []
    pending: list[Tensor] = []
    every = max(1, steps // _CURVE_POINTS)
    for step in range(steps):
        inputs, masks = batch(step)
        with precision.autocast(inputs.device):
            logits = module(inputs)
        loss = segmentation_loss(logits, masks)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
        optimiser.step()
        if step < steps - 1:
            schedule.step()
        pending.append(loss.detach())
        if (step + 1) % every == 0 or step == steps - 1:
            curve.append(_curve_point(step + 1, pending))
            pending = []
    _check_weights(module, steps)
    return tuple(curve)


def _curve_point(step: int, losses: list[Tensor]) -> CurvePoint:
    mean = torch.stack(losses).mean().item()
    if not math.isfinite(mean):
        raise DivergedError(f"the training loss is {mean} by step {step}; a lower peak_learning_rate may help")
    return CurvePoint(step, mean)


def _check_weights(module: nn.Module, step: int) -> None:
    broken = [name for name, tensor in module.named_parameters() if not tensor.isfinite().all()]
    if broken:
        raise DivergedError(f"the weights are not finite after step {step}: {', '.join(broken[:3])}")
