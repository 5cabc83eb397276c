"""How many numbers a network learns."""

from __future__ import annotations

from torch import nn


def count_parameters(module: nn.Module) -> int:
    """The number of trainable parameters; one that several modules share counts once."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
