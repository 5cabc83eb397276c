"""BatchNorm statistics of the final weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def recalibrate_batchnorm(
    module: nn.Module, batches: Iterable[Tensor], forward: Callable[[Tensor], Tensor]
) -> None:
    """Replace running means and variances by their plain average over some training batches, then enter eval mode.

    The running averages of a run mix statistics of weights that have since changed. That alone moved the IoU of
    short runs by several points between seeds.

    Args:
        module: the trained network.
        batches: inputs, (N, C, H, W) each.
        forward: calls the module on one of them.
    """
    norms = [child for child in module.modules() if isinstance(child, _BatchNorm) and child.track_running_stats]
    if norms:
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        module.train()
        try:
            for batch in batches:
                forward(batch)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
    module.eval()
