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
"""Parameters begin at multiples of 64 bytes, where vector loads are fast."""


@dataclass(frozen=True, eq=False)
class FlatParameters:
    """The trainable parameters of a module: what decays in one buffer, all others in a second; of a part that
    begins with trained weights likewise in two more, and what Muon trains in one of its own.

    The module's own parameters and gradients become views of these; whoever changes one changes the other.
    An optimiser, a norm or a reset then takes one operation per buffer instead of one per parameter. Between
    two parameters stand zeros, whose gradient is 0 and which stay 0.

    Args:
        kernels: what decays, in one flat parameter; empty where there is nothing.
        others: what does not, likewise.
        gradients: each of the module's parameters with its part of a flat gradient.
        slow_kernels: what decays in the part that begins with trained weights.
        slow_others: what does not.
        matrices: what Muon trains.
        stacks: the same again, all of one shape together, (B, m, n).
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
        """Move a module's trainable parameters into flat buffers, their values and memory formats kept.

        Args:
            module: which they are of.
            muon: let the kernels that it can train have a buffer of their own.
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
        """The buffers of the part that begins with trained weights."""
        return self.slow_kernels, self.slow_others

    @property
    def buffers(self) -> tuple[nn.Parameter, ...]:
        """The buffers that there are."""
        return (*self.kernels, *self.others, *self.slow_kernels, *self.slow_others, *self.matrices)

    def bind_gradients(self) -> None:
        """Let the gradients be views again, where somebody (``module.zero_grad()``) has taken them away."""
        for parameter, gradient in self.gradients:
            parameter.grad = gradient

    def zero_gradients(self) -> None:
        """Set all gradients to 0; the views stay what they are."""
        for flat in self.buffers:
            if flat.grad is not None:
                flat.grad.zero_()


@runtime_checkable
class HasTrainedPart(Protocol):
    """A network of which a part begins with trained weights, and learns more slowly."""

    def trained_part(self) -> Iterable[nn.Parameter]:
        """The parameters of that part."""


def kernels_and_others(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """What decays, and what does not: the trainable parameters of two dimensions or more, and those of fewer."""
    return _by_decay(module.parameters())


def trained_kernels_and_others(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The same of the part of a network that begins with trained weights; nothing where there is none."""
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
    """Views of parameters that lie one after another, those of one shape together."""
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
    """How many values lie between the beginnings of this parameter and the next."""
    return -(-parameter.numel() // _ALIGNMENT) * _ALIGNMENT


def _dense_strides(tensor: Tensor) -> tuple[int, ...]:
    """Strides without gaps that keep the tensor's memory format."""
    return torch.empty_like(tensor, memory_format=torch.preserve_format).stride()
