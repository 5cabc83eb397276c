"""A module in the place of a submodule, or around it, which stays where it is with its weights and their names."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class StandIn:
    """What a submodule computes instead of its own ``forward``.

    It is an object, not a closure: a copy of the network has one of its own, which calls the copy's attention.

    In the place of a submodule, the submodule's weights lie idle: they stay in ``state_dict`` under their names
    and move with the network, but as buffers, so that nothing trains, decays or counts them.

    Args:
        attention: takes (x) in the place of the submodule, or (x, function) around it.
        owner: the submodule.
        around: whether the attention is given the submodule's own ``forward`` as a function.
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
        """Take the submodule's place."""
        vars(self.owner)["forward"] = self
        if not self.around:
            self.idle = dict(self.owner.named_parameters(recurse=False))
        for name, parameter in self.idle.items():
            delattr(self.owner, name)
            self.owner.register_buffer(name, parameter.detach())

    def remove(self) -> None:
        """Give the submodule its place and its weights back."""
        del vars(self.owner)["forward"]
        for name, parameter in self.idle.items():
            values = self.owner.get_buffer(name)
            delattr(self.owner, name)
            self.owner.register_parameter(name, _with_values(parameter, values))


def _with_values(parameter: nn.Parameter, values: Tensor) -> nn.Parameter:
    """The same parameter, which optimisers may know, where it can have the values; or else a new one."""
    try:
        parameter.data = values
    except RuntimeError:  # it has moved to a device of another kind
        return nn.Parameter(values, parameter.requires_grad)
    return parameter
