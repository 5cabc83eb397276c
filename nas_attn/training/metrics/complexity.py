"""Number of parameters of a network, and of multiply-accumulate operations in its forward pass."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(module: nn.Module, *shapes: tuple[int, ...]) -> int:
    """The multiply-accumulate operations of one forward pass in evaluation.

    Convolutions, linear maps and matrix products count, those of attention too. Normalisation, activation,
    pooling, interpolation and elementwise gating do not count. The pass runs on a copy without data (the meta
    device), because on a CPU torch's counter treats scaled dot-product attention as free.

    Args:
        module: any network; it stays unchanged.
        shapes: one shape for each positional input of ``forward``, N included.
    """
    double = copy.deepcopy(module).to("meta").float().eval()
    inputs = [torch.empty(shape, device="meta") for shape in shapes]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        double(*inputs)
    return int(counter.get_total_flops()) // 2


def count_parameters(module: nn.Module) -> int:
    """The number of trainable parameters; a parameter shared by several modules counts once."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
