"""AdamW and its one-cycle schedule."""

from __future__ import annotations

import torch
from torch import nn

from nas_attn.training.recipe import Recipe


def build_optimiser(module: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with weight decay on kernels only."""
    kernels = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=recipe.peak_learning_rate, fused=True
    )


def build_schedule(
    optimiser: torch.optim.Optimizer, recipe: Recipe, steps: int
) -> torch.optim.lr_scheduler.OneCycleLR:
    """OneCycle (Smith and Topin 2018, arXiv:1708.07120): up, then down to nearly 0 at the last step."""
    total = max(steps, 2)
    # torch counts warm_up * total - 1 rising steps and divides by that number: it must not be 0.
    rising = recipe.warm_up if total == 2 else max(recipe.warm_up, 2 / total)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.peak_learning_rate, total_steps=total, pct_start=rising
    )
