"""The optimisers of a network's flat parameters, which read their learning rates from one tensor."""

from __future__ import annotations

import torch
from torch import Tensor

from nas_attn.training.flat import FlatParameters
from nas_attn.training.muon import Muon
from nas_attn.training.optimiser import build_optimiser
from nas_attn.training.recipe import Recipe


class FlatOptimisers:
    """Muon for the matrices, where the recipe has it, and AdamW for all else.

    Args:
        flat: what is trained.
        recipe: how.
        capturable: their steps will be part of a CUDA graph.
    """

    def __init__(self, flat: FlatParameters, recipe: Recipe, *, capturable: bool = False) -> None:
        shares = [1.0, recipe.encoder_share, recipe.muon_factor]
        self._shares = torch.tensor(shares, device=flat.buffers[0].device)
        self._rates = torch.zeros_like(self._shares)
        self._flat = flat
        self.built = self._build(recipe, capturable)
        """One of them, or both."""

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
        """Take a step along the gradients that there are.

        Args:
            rate: learning rate, of one element.
        """
        torch.mul(self._shares, rate, out=self._rates)
        for optimiser in self.built:
            optimiser.step()

    def bind_rates(self) -> None:
        """Let all groups read their rate here again: a loaded state brings tensors of its own."""
        rate, slow_rate, muon_rate = self._rates
        rates = {id(one): slow_rate for part in self._flat.slow for one in part}
        rates |= {id(one): muon_rate for one in self._flat.stacks}
        for group in (group for optimiser in self.built for group in optimiser.param_groups):
            group["lr"] = rates.get(id(group["params"][0]), rate)

    def state(self) -> list[Tensor]:
        """What optimisers remember, by reference: the first step makes these tensors, as 0."""
        states = (state for optimiser in self.built for state in optimiser.state.values())
        return [tensor for state in states for tensor in state.values()]
