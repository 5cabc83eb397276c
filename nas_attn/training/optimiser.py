"""The optimisers of a run, AdamW and Muon, and their one-cycle schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nas_attn.training.flat import FlatParameters
from nas_attn.training.muon import Muon
from nas_attn.training.recipe import Recipe
from nas_attn.training.uncompiled import spare_compiler

spare_compiler(torch.optim.Optimizer)
_FIRST_SHARE = 1 / 25
_LAST_SHARE = _FIRST_SHARE / 1e4


class FlatOptimisers:
    """Muon for the matrices, if the recipe uses it, and AdamW for all other parameters.

    Args:
        flat: the parameters to train.
        recipe: how to train them.
        capturable: their steps will be part of a CUDA graph.
    """

    def __init__(self, flat: FlatParameters, recipe: Recipe, *, capturable: bool = False) -> None:
        shares = [1.0, recipe.encoder_share, recipe.muon_factor]
        self._shares = torch.tensor(shares, device=flat.buffers[0].device)
        self._rates = torch.zeros_like(self._shares)
        self._flat = flat
        self.built = self._build(recipe, capturable)
        """AdamW, Muon, or both."""

    def _build(self, recipe: Recipe, capturable: bool) -> list[torch.optim.Optimizer]:
        flat, (rate, slow_rate, muon_rate) = self._flat, self._rates
        built: list[torch.optim.Optimizer] = []
        if len(flat.buffers) > len(flat.matrices):
            built.append(
                build_optimiser(
                    flat.kernels,
                    flat.others,
                    recipe,
                    slow=flat.slow,
                    rate=rate,
                    slow_rate=slow_rate,
                    capturable=capturable,
                )
            )
        if flat.stacks:
            built.append(
                Muon(flat.stacks, lr=muon_rate, weight_decay=recipe.weight_decay, momentum=recipe.momentum)
            )
        return built

    def step(self, rate: Tensor) -> None:
        """Take a step along the present gradients.

        Args:
            rate: learning rate, a tensor of one element.
        """
        torch.mul(self._shares, rate, out=self._rates)
        for optimiser in self.built:
            optimiser.step()

    def bind_rates(self) -> None:
        """Make all groups read their rate from here again: a loaded state brings tensors of its own."""
        rate, slow_rate, muon_rate = self._rates
        rates = {id(one): slow_rate for part in self._flat.slow for one in part}
        rates |= {id(one): muon_rate for one in self._flat.stacks}
        for group in (group for optimiser in self.built for group in optimiser.param_groups):
            group["lr"] = rates.get(id(group["params"][0]), rate)

    def state(self) -> list[Tensor]:
        """The optimisers' state, by reference; the first step creates these tensors, as 0."""
        states = (state for optimiser in self.built for state in optimiser.state.values())
        return [tensor for state in states for tensor in state.values()]


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
        kernels: parameters with weight decay.
        others: parameters without.
        recipe: gives the learning rate and the weight decay.
        slow: kernels and others of the part that starts with trained weights.
        rate: a tensor that holds the learning rate of each step; None uses the recipe's peak.
        slow_rate: the same for ``slow``.
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

    It rises along a cosine from 1/25 of the peak during the warm-up, then falls to 1/250,000 of the peak at the
    last step. The momentum is not cycled: a CUDA graph can read a schedule of one number from a table.
    """
    last = max(steps, 2) - 1
    # At least one step must rise and one must fall, so that the peak is reached and left.
    top = min(max(recipe.warm_up * (last + 1) - 1, 1), last - 1) if last > 1 else 0
    shares = [_share(step, top, last) for step in range(steps)]
    return torch.tensor(shares) * recipe.peak_learning_rate


def _share(step: int, top: float, last: int) -> float:
    """The learning rate of a step, as a share of the peak."""
    if step < top:
        return _cosine(_FIRST_SHARE, 1.0, step / top)
    return _cosine(1.0, _LAST_SHARE, (step - top) / (last - top))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
