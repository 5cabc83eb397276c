"""Where half precision would spoil a result."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.func import functional_call


def precise(x: Tensor) -> Tensor:
    """The same values in float32, or as they are where they are finer already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def as_weights_of(layer: nn.Module, x: Tensor) -> Tensor:
    """The same values in the precision of a layer's weights, which ``layer.bfloat16()`` may have lowered."""
    return x.to(next(layer.parameters()).dtype)


def precisely(layer: nn.Module, *inputs: Tensor) -> Tensor:
    """What a layer gives with its weights in float32, or as they are where they are finer already.

    Args:
        layer: without buffers.
        inputs: in float32 or finer.
    """
    weights = {name: precise(weight) for name, weight in layer.named_parameters()}
    if all(weights[name] is weight for name, weight in layer.named_parameters()):
        output: Tensor = layer(*inputs)
    else:
        output = functional_call(layer, weights, inputs)
    return output


def without_autocast(device: str) -> AbstractContextManager[object]:
    """A context whose operations keep the precision of their inputs.

    Args:
        device: its type, such as ``cuda``.
    """
    available = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if available else nullcontext()
