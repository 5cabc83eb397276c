"""Float32 where half precision would spoil a result."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call


def precise(x: Tensor) -> Tensor:
    """x in float32, or unchanged if its precision is higher."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def as_weights_of(layer: nn.Module, x: Tensor) -> Tensor:
    """x in the precision of a layer's weights, which ``layer.bfloat16()`` may have lowered."""
    return x.to(next(layer.parameters()).dtype)


def precisely(layer: nn.Module, *inputs: Tensor) -> Tensor:
    """Output of a layer with its weights in float32, or unchanged if their precision is higher.

    Args:
        layer: a layer without buffers.
        inputs: tensors in float32 or better.
    """
    weights = {name: precise(weight) for name, weight in layer.named_parameters()}
    if all(weights[name] is weight for name, weight in layer.named_parameters()):
        output: Tensor = layer(*inputs)
    else:
        output = functional_call(layer, weights, inputs)
    return output


def without_autocast(device: str) -> AbstractContextManager[object]:
    """Context in which operations keep the precision of their inputs.

    Args:
        device: type of the device, such as ``cuda``.
    """
    available = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if available else nullcontext()
