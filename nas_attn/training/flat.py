"""All parameters of a network in two buffers, so that a step costs a few operations instead of hundreds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

from nas_attn.training.optimiser import kernels_and_others

_ALIGNMENT = 16
"""Parameters begin at multiples of 64 bytes, where vector loads are fast."""


@dataclass(frozen=True, eq=False)
class FlatParameters:
    """The trainable parameters of a module: what decays in one buffer, all others in a second.

    The module's own parameters and gradients become views of these two; whoever changes one changes the other.
    An optimiser, a norm or a reset then takes one operation per buffer instead of one per parameter. Between
    two parameters stand zeros, whose gradient is 0 and which stay 0.

    Args:
        kernels: what decays, in one flat parameter; empty where there is nothing.
        others: what does not, likewise.
        gradients: each of the module's parameters with its part of a flat gradient.
    """

    kernels: tuple[nn.Parameter, ...]
    others: tuple[nn.Parameter, ...]
    gradients: tuple[tuple[nn.Parameter, Tensor], ...]

    @classmethod
    def of(cls, module: nn.Module) -> FlatParameters:
        """Move a module's trainable parameters into flat buffers, their values and memory formats kept."""
        kernels, others = kernels_and_others(module)
        joined = _join(kernels), _join(others)
        gradients = tuple((one, one.grad) for one in (*kernels, *others) if one.grad is not None)
        return cls(*joined, gradients)

    @property
    def both(self) -> tuple[nn.Parameter, ...]:
        """The buffers that there are."""
        return (*self.kernels, *self.others)

    def bind_gradients(self) -> None:
        """Let the gradients be views again, where somebody (``module.zero_grad()``) has taken them away."""
        for parameter, gradient in self.gradients:
            parameter.grad = gradient

    def zero_gradients(self) -> None:
        """Set all gradients to 0; the views stay what they are."""
        for flat in self.both:
            if flat.grad is not None:
                flat.grad.zero_()


def _join(parameters: Sequence[nn.Parameter]) -> tuple[nn.Parameter, ...]:
    if not parameters:
        return ()
    sizes = [-(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT for parameter in parameters]
    starts = [0, *accumulate(sizes)]
    values = parameters[0].detach().new_zeros(starts[-1])
    gradients = torch.zeros_like(values)
    for parameter, start in zip(parameters, starts, strict=False):
        strides = _dense_strides(parameter)
        view = values.as_strided(parameter.shape, strides, start)
        view.copy_(parameter.detach())
        parameter.data = view
        parameter.grad = gradients.as_strided(parameter.shape, strides, start)
    flat = nn.Parameter(values)
    flat.grad = gradients
    return (flat,)


def _dense_strides(tensor: Tensor) -> tuple[int, ...]:
    """Strides without gaps that keep the tensor's memory format."""
    return torch.empty_like(tensor, memory_format=torch.preserve_format).stride()
