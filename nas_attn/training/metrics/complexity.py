"""How many numbers a network learns, and how many multiply-accumulate operations a forward pass takes."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(module: nn.Module, *shapes: tuple[int, ...]) -> int:
    """The multiply-accumulate operations of one forward pass in evaluation.

    Convolutions, linear maps and matrix products count, attention's among them; normalisation, activation,
    pooling, interpolation and elementwise gating do not. The pass runs on a copy without data (the meta device),
    where torch's counter also knows scaled dot-product attention: on a CPU it takes that for free.

    Args:
        module: any network; it is left as it is.
        shapes: one shape for each positional input of ``forward``, N included.
    """
    double = copy.deepcopy(module).to("meta").float().eval()
    inputs = [torch.empty(shape, device="meta") for shape in shapes]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        double(*inputs)
    return int(counter.get_total_flops()) // 2


def count_parameters(module: nn.Module) -> int:
    """The number of trainable parameters; one that several modules share counts once."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
