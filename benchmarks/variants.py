"""Ways to train that the library does not have, for races of recipes: each takes the place of a part of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_attn.models.unet import UNet
from nas_attn.training import loss as losses
from nas_attn.training import optimiser
from nas_attn.training import step as steps
from nas_attn.training.evaluation import evaluator
from nas_attn.training.loss import segmentation_loss
from nas_attn.training.recipe import Recipe
from nas_attn.training.step import TrainingStep

_WARM_UP_CROP = 32
"""Side of the crops of the first half of a run, in pixels."""
_EMA = 0.95
_SMOOTHED = 0.05


class Lion(torch.optim.Optimizer):
    """The sign of a momentum (Chen et al. 2023, arXiv:2302.06675, algorithm 2), with decoupled weight decay.

    Args:
        groups: of parameters, each with its learning rate and weight decay.
        betas: of what is stepped along, and of what is kept.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        super().__init__(groups, {"lr": 1e-3, "weight_decay": 0.0, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no loss is evaluated again
        """Take a step along the gradients that there are."""
        for group in self.param_groups:
            ahead, kept = group["betas"]
            for one in group["params"]:
                momentum = self.state[one].setdefault("momentum", torch.zeros_like(one))
                one.mul_(1 - group["lr"] * group["weight_decay"])
                one.sub_(momentum.lerp(one.grad, 1 - ahead).sign_() * group["lr"])
                momentum.lerp_(one.grad, 1 - kept)


class ScheduleFree(torch.optim.Optimizer):
    """AdamW without a schedule (Defazio et al. 2024, arXiv:2405.15682, algorithm 1).

    Parameters hold y, at which gradients are taken, until ``finish`` leaves them with x, the mean of all steps.

    Args:
        groups: of parameters, each with its learning rate and weight decay.
        betas: share of x in y, and of the old mean square.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        super().__init__(groups, {"lr": 1e-3, "weight_decay": 0.0, "betas": betas})
        self._taken, self._weights = 0, 0.0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no loss is evaluated again
        """Take a step along the gradients that there are."""
        self._taken += 1
        rate = float(self.param_groups[0]["lr"])
        self._weights += rate**2
        share = rate**2 / self._weights
        for group in self.param_groups:
            near, kept = group["betas"]
            for one in group["params"]:
                state = self.state[one]
                if not state:
                    state.update(z=one.clone(), x=one.clone(), square=torch.zeros_like(one))
                state["square"].lerp_(one.grad.square(), 1 - kept)
                unit = one.grad / ((state["square"] / (1 - kept**self._taken)).sqrt() + 1e-8)
                state["z"].sub_((unit + group["weight_decay"] * one) * group["lr"])
                state["x"].lerp_(state["z"], share)
                one.copy_(state["z"].lerp(state["x"], near))

    @torch.no_grad()
    def finish(self) -> None:
        """Leave the parameters with the mean."""
        for one, state in self.state.items():
            one.copy_(state["x"])


class DeepSupervision(nn.Module):
    """Logits of the coarser levels of a U-Net's decoder, whose losses are added, each with half the weight of the
    level above (as nnU-Net, Isensee et al. 2021, doi:10.1038/s41592-020-01008-z).

    Args:
        network: whose child this becomes.
    """

    def __init__(self, network: UNet) -> None:
        super().__init__()
        classes = network.head.out_channels
        levels = range(1, network.depth - 1)
        widths = [network.head.in_channels * 2**level for level in levels]
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in widths)
        self._features: dict[int, Tensor] = {}
        for number, level in enumerate(levels):
            network.decoder[level].register_forward_hook(partial(self._keep, number))

    def _keep(self, number: int, block: nn.Module, inputs: object, feature: Tensor) -> None:
        if self.training:
            self._features[number] = feature

    def own_loss(self, masks: Tensor, scores: Tensor) -> Tensor:
        """The loss of the coarser levels, whose pixels have the class of one of those below."""
        found = masks.new_zeros((), dtype=torch.float32)
        for number, head in enumerate(self.heads):
            logits, every = head(self._features.pop(number).float()), 2 ** (number + 1)
            found = found + segmentation_loss(logits, masks[..., ::every, ::every]) / every
        return found


@contextmanager
def _optimised_by(built: Callable[[list[dict[str, Any]]], torch.optim.Optimizer]) -> Iterator[None]:
    def build(
        kernels: Sequence[nn.Parameter], others: Sequence[nn.Parameter], recipe: Recipe, *, rate: Tensor, **_: Any
    ) -> torch.optim.Optimizer:
        decays = ((kernels, recipe.weight_decay), (others, 0.0))
        return built([{"params": list(part), "lr": rate, "weight_decay": decay} for part, decay in decays if part])

    with patch.object(optimiser, "build_optimiser", build):
        yield


@contextmanager
def _schedule_free() -> Iterator[None]:
    def rising(recipe: Recipe, number: int) -> Tensor:
        rates = (torch.arange(1, number + 1) / (recipe.warm_up * number)).clamp(max=1)
        return rates * recipe.peak_learning_rate

    usual = TrainingStep.recalibrate

    def finished(step: TrainingStep) -> None:
        for one in step.optimisers:
            if isinstance(one, ScheduleFree):
                one.finish()
        usual(step)

    with ExitStack() as patches:
        patches.enter_context(_optimised_by(ScheduleFree))
        patches.enter_context(patch.object(steps, "learning_rates", rising))
        patches.enter_context(patch.object(TrainingStep, "recalibrate", finished))
        yield


@contextmanager
def _averaged() -> Iterator[None]:
    """Judged is the exponential moving average of the weights."""
    usual, usual_end = TrainingStep.__call__, TrainingStep.recalibrate
    means: dict[int, list[Tensor]] = {}

    def call(step: TrainingStep) -> None:
        usual(step)
        with torch.no_grad():
            buffers = step._parameters.buffers
            kept = means.setdefault(id(step), [one.detach().clone() for one in buffers])
            for mean, one in zip(kept, buffers, strict=True):
                mean.lerp_(one, 1 - _EMA)

    def finished(step: TrainingStep) -> None:
        with torch.no_grad():
            for mean, one in zip(means.pop(id(step)), step._parameters.buffers, strict=True):
                one.copy_(mean)
        usual_end(step)

    with patch.object(TrainingStep, "__call__", call), patch.object(TrainingStep, "recalibrate", finished):
        yield


@contextmanager
def _smoothed() -> Iterator[None]:
    """Label smoothing (Szegedy et al. 2016, arXiv:1512.00567, section 7)."""

    def cross_entropy(batch: losses._Exclusive) -> Tensor:
        uniform = -batch.log_probability.mean(1)
        truth, weight = batch.surprisals()
        return losses._mean((1 - _SMOOTHED) * truth + _SMOOTHED * uniform, weight, batch)

    with patch.object(losses, "_cross_entropy", cross_entropy):
        yield


@contextmanager
def _deep() -> Iterator[None]:
    usual = evaluator.fresh_network

    def supervised(*asked: Any) -> nn.Module:
        module = usual(*asked)
        module.add_module("deep_supervision", DeepSupervision(module))
        return module

    with patch.object(evaluator, "fresh_network", supervised):
        yield


@contextmanager
def _batches(changed: Callable[[TrainingStep, Tensor, Tensor], tuple[Tensor, Tensor]]) -> Iterator[None]:
    usual = TrainingStep.inputs_and_masks

    def batch(step: TrainingStep) -> tuple[Tensor, Tensor]:
        return changed(step, *usual(step))

    with patch.object(TrainingStep, "inputs_and_masks", batch):
        yield


def _growing(step: TrainingStep, inputs: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """A part of each crop in the first half of the run."""
    if 2 * int(step._next) >= len(step.losses):
        return inputs, masks
    side = slice(None, _WARM_UP_CROP)
    return step._precision.arrange(inputs[..., side, side]), masks[..., side, side].contiguous()


def _turned(step: TrainingStep, inputs: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Quarter turns, with the flips that there are: every second batch is transposed."""
    if int(step._next) % 2:
        return inputs, masks
    return step._precision.arrange(inputs.transpose(-1, -2)), masks.transpose(-1, -2).contiguous()


def _resized(step: TrainingStep, inputs: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Every second batch shows the middle of its crops at 4/3 of the size."""
    if int(step._next) % 2:
        return inputs, masks
    side = inputs.shape[-1]
    cut = slice(side // 8, side - side // 8)
    larger = F.interpolate(inputs[..., cut, cut], size=side, mode="bilinear")
    classes = F.interpolate(masks[:, None, cut, cut].float(), size=side, mode="nearest")[:, 0].to(masks.dtype)
    return step._precision.arrange(larger), classes


VARIANTS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "lion": partial(_optimised_by, Lion),
    "schedule-free": _schedule_free,
    "averaged": _averaged,
    "smoothed": _smoothed,
    "deep": _deep,
    "growing": partial(_batches, _growing),
    "turned": partial(_batches, _turned),
    "resized": partial(_batches, _resized),
}
"""By the name under which ``recipes.py`` takes them.

==============  ==============================================================================================
lion            in place of AdamW (with ``optimiser=adamw``: for everything)
schedule-free   likewise; the rate rises and stays
averaged        judged are the weights averaged over the last steps, the older the less (0.95)
smoothed        label smoothing of 0.05 in the cross-entropy
deep            the coarser levels of the decoder have a loss, too
growing         crops of 32 px in the first half of a run
turned          half of the batches are turned by a quarter
resized         half of the batches are shown a third larger
==============  ==============================================================================================
"""
