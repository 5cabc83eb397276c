"""All parameters of a network in a few buffers, so that a step costs few operations instead of hundreds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from nas_attn.training.muon import is_matrix, sides

_ALIGNMENT = 16
"""Parameters start at multiples of 64 bytes, where vector loads are fast."""


@dataclass(frozen=True, eq=False)
class FlatParameters:
    """The trainable parameters of a module, in up to five flat buffers, listed below.

    The module's own parameters and gradients become views of these buffers, so a change to one changes the other.
    An optimiser, a norm or a reset then takes one operation per buffer instead of one per parameter. Between two
    parameters there may be zeros, whose gradient is 0 and which stay 0.

    Args:
        kernels: the parameters with weight decay, as one flat parameter; empty if there are none.
        others: the parameters without weight decay, likewise.
        gradients: each of the module's parameters with its part of a flat gradient.
        slow_kernels: ``kernels`` of the part that starts with trained weights.
        slow_others: ``others`` of that part.
        matrices: the parameters that Muon trains.
        stacks: views of ``matrices``, those of one shape stacked, (B, m, n).
    """

    kernels: tuple[nn.Parameter, ...]
    others: tuple[nn.Parameter, ...]
    gradients: tuple[tuple[nn.Parameter, Tensor], ...]
    slow_kernels: tuple[nn.Parameter, ...] = ()
    slow_others: tuple[nn.Parameter, ...] = ()
    matrices: tuple[nn.Parameter, ...] = ()
    stacks: tuple[nn.Parameter, ...] = ()

    @classmethod
    def of(cls, module: nn.Module, *, muon: bool = False) -> FlatParameters:
        """Move a module's trainable parameters into flat buffers; their values and memory formats are kept.

        Args:
            module: the owner of the parameters.
            muon: give the kernels that Muon can train their own buffer.
        """
        slow = trained_kernels_and_others(module)
        known = {id(one) for part in slow for one in part}
        fast = [[one for one in part if id(one) not in known] for part in kernels_and_others(module)]
        matrices = sorted((one for one in fast[0] if muon and is_matrix(one)), key=sides)
        chosen = {id(one) for one in matrices}
        fast[0] = [one for one in fast[0] if id(one) not in chosen]
        parts = (*fast, *slow, matrices)
        kernels, others, slow_kernels, slow_others, joined = map(_join, parts)
        gradients = tuple((one, one.grad) for part in parts for one in part if one.grad is not None)
        return cls(kernels, others, gradients, slow_kernels, slow_others, joined, _stacked(matrices))

    @property
    def slow(self) -> tuple[tuple[nn.Parameter, ...], tuple[nn.Parameter, ...]]:
        """The buffers of the part that starts with trained weights."""
        return self.slow_kernels, self.slow_others

    @property
    def buffers(self) -> tuple[nn.Parameter, ...]:
        """All buffers that have parameters."""
        return (*self.kernels, *self.others, *self.slow_kernels, *self.slow_others, *self.matrices)

    def bind_gradients(self) -> None:
        """Make the gradients views again, in case they were removed, as ``module.zero_grad()`` does."""
        for parameter, gradient in self.gradients:
            parameter.grad = gradient

    def zero_gradients(self) -> None:
        """Set all gradients to 0; they stay views."""
        for flat in self.buffers:
            if flat.grad is not None:
                flat.grad.zero_()


@runtime_checkable
class HasTrainedPart(Protocol):
    """A network with a part that starts with trained weights and learns more slowly."""

    def trained_part(self) -> Iterable[nn.Parameter]:
        """The parameters of that part."""


def kernels_and_others(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The trainable parameters with weight decay (two dimensions or more) and without it (fewer)."""
    return _by_decay(module.parameters())


def trained_kernels_and_others(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The same for the part of a network that starts with trained weights; empty if there is none."""
    return _by_decay(module.trained_part()) if isinstance(module, HasTrainedPart) else ([], [])


def _by_decay(parameters: Iterable[nn.Parameter]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    return (
        [parameter for parameter in trainable if parameter.ndim > 1],
        [parameter for parameter in trainable if parameter.ndim <= 1],
    )


def _join(parameters: Sequence[nn.Parameter]) -> tuple[nn.Parameter, ...]:
    if not parameters:
        return ()
    starts = [0, *accumulate(map(_room, parameters))]
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


def _stacked(matrices: Sequence[nn.Parameter]) -> tuple[nn.Parameter, ...]:
    """Views of parameters that lie one after another in memory, those of one shape stacked."""
    stacks = []
    for (rows, columns), group in groupby(matrices, key=sides):
        first, *others = group
        size, strides = (1 + len(others), rows, columns), (_room(first), columns, 1)
        stack = nn.Parameter(first.detach().as_strided(size, strides))
        assert first.grad is not None
        stack.grad = first.grad.as_strided(size, strides)
        stacks.append(stack)
    return tuple(stacks)


def _room(parameter: nn.Parameter) -> int:
    """Number of values from the start of this parameter to the start of the next."""
    return -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT


def _dense_strides(tensor: Tensor) -> tuple[int, ...]:
    """Strides without gaps that keep the tensor's memory format."""
    return torch.empty_like(tensor, memory_format=torch.preserve_format).stride()
