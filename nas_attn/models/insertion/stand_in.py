"""A module that replaces or wraps a submodule, which keeps its place, its weights and their names."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class StandIn:
    """Replaces the ``forward`` of a submodule.

    It is an object instead of a closure, so that a copy of the network has its own, which calls the copy's
    attention.

    The weights of a replaced submodule are not used. They stay in ``state_dict`` under their names and move with
    the network, but as buffers, so that they are not trained, decayed or counted.

    Args:
        attention: takes (x) if it replaces the submodule, or (x, function) if it wraps it.
        owner: the submodule.
        around: whether the attention takes the submodule's own ``forward`` as a function.
    """

    def __init__(self, attention: nn.Module, owner: nn.Module, around: bool) -> None:
        self.attention = attention
        self.owner = owner
        self.around = around
        self.idle: dict[str, nn.Parameter] = {}

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        attended: Tensor
        if self.around:
            forward = type(self.owner).forward
            attended = self.attention(x, lambda entering: forward(self.owner, entering, *args, **kwargs))
        else:
            attended = self.attention(x)
        return attended

    def begin(self) -> None:
        """Replace the submodule's ``forward``."""
        vars(self.owner)["forward"] = self
        if not self.around:
            self.idle = dict(self.owner.named_parameters(recurse=False))
        for name, parameter in self.idle.items():
            delattr(self.owner, name)
            self.owner.register_buffer(name, parameter.detach())

    def remove(self) -> None:
        """Restore the submodule's ``forward`` and its weights."""
        del vars(self.owner)["forward"]
        for name, parameter in self.idle.items():
            values = self.owner.get_buffer(name)
            delattr(self.owner, name)
            self.owner.register_parameter(name, _with_values(parameter, values))


def _with_values(parameter: nn.Parameter, values: Tensor) -> nn.Parameter:
    """The same parameter, which optimisers may refer to, if it can have the values; otherwise a new one."""
    try:
        parameter.data = values
    except RuntimeError:  # it has moved to a device of another kind
        return nn.Parameter(values, parameter.requires_grad)
    return parameter
