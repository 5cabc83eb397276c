"""AdamW and its one-cycle schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from nas_attn.training.recipe import Recipe
from nas_attn.training.uncompiled import spare_compiler

spare_compiler(torch.optim.Optimizer)
_FIRST_SHARE = 1 / 25
_LAST_SHARE = _FIRST_SHARE / 1e4


@runtime_checkable
class HasTrainedPart(Protocol):
    """A network of which a part begins with trained weights, and learns more slowly."""

    def trained_part(self) -> Iterable[nn.Parameter]:
        """The parameters of that part."""


def kernels_and_others(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """What decays, and what does not: the trainable parameters of two dimensions or more, and those of fewer."""
    return _parted(module.parameters())


def trained_kernels_and_others(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The same of the part of a network that begins with trained weights; nothing where there is none."""
    return _parted(module.trained_part()) if isinstance(module, HasTrainedPart) else ([], [])


def _parted(parameters: Iterable[nn.Parameter]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    return (
        [parameter for parameter in trainable if parameter.ndim > 1],
        [parameter for parameter in trainable if parameter.ndim <= 1],
    )


def build_optimiser(
    kernels: Sequence[nn.Parameter],
    others: Sequence[nn.Parameter],
    recipe: Recipe,
    *,
    slow: tuple[Sequence[nn.Parameter], Sequence[nn.Parameter]] = ((), ()),
    rate: Tensor | None = None,
    slow_rate: Tensor | None = None,
    capturable: bool = False,
) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with weight decay on kernels only.

    Args:
        kernels: what decays.
        others: what does not.
        recipe: for the learning rate and the weight decay.
        slow: kernels and others of the part that begins with trained weights.
        rate: a tensor that holds the learning rate of each step; None takes the recipe's peak.
        slow_rate: likewise, of what is slow.
        capturable: its steps will be part of a CUDA graph.
    """
    peak = recipe.peak_learning_rate
    rates = (peak if rate is None else rate, peak * recipe.encoder_share if slow_rate is None else slow_rate)
    groups = [
        {"params": params, "weight_decay": decay, "lr": lr}
        for (decaying, still), lr in zip(((kernels, others), slow), rates, strict=True)
        for params, decay in ((decaying, recipe.weight_decay), (still, 0.0))
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=rates[0],
        betas=(recipe.momentum, 0.999),
        fused=True,
        capturable=capturable,
    )


def learning_rates(recipe: Recipe, steps: int) -> Tensor:
    """The learning rate of each step, (steps,): OneCycle (Smith and Topin 2018, arXiv:1708.07120).

    From 1/25 of the peak up along a cosine while it warms up, then down to 1/250,000 of it at the last step.
    The momentum is not cycled: a schedule of one number can be read from a table by a CUDA graph.
    """
    last = max(steps, 2) - 1
    # A single rising step at least, and a falling one after it: the peak must be reached and left.
    top = min(max(recipe.warm_up * (last + 1) - 1, 1), last - 1) if last > 1 else 0
    shares = [_share(step, top, last) for step in range(steps)]
    return torch.tensor(shares) * recipe.peak_learning_rate


def _share(step: int, top: float, last: int) -> float:
    """Of the peak learning rate."""
    if step < top:
        return _cosine(_FIRST_SHARE, 1.0, step / top)
    return _cosine(1.0, _LAST_SHARE, (step - top) / (last - top))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
