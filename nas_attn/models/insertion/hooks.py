"""Hooks that send a feature of a network through an attention module.

They are objects instead of closures, so that a copy of the network has its own hooks, which call the copy's
attention.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nas_attn.errors import NetworkError


@dataclass(frozen=True)
class Argument:
    """A feature among the arguments of a submodule.

    Args:
        position: among the arguments of its ``forward``; None if it can only be given by name.
        name: of the parameter; None if ``forward`` takes any number of arguments.
        channels: first channel and the one after the last; None for all.
    """

    position: int | None
    name: str | None
    channels: tuple[int, int] | None

    def of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
        """The feature, or its selected channels."""
        whole = self.whole(args, kwargs)
        return whole if self.channels is None else whole[:, self.channels[0] : self.channels[1]]

    def whole(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
        """The feature with all of its channels.

        Raises:
            NetworkError: the submodule is called without it.
        """
        given = kwargs.get(self.name) if self.name is not None else None
        if given is None and self.position is not None and self.position < len(args):
            given = args[self.position]
        if not isinstance(given, Tensor):
            raise NetworkError(f"argument {self.name or self.position} is not given, and attention stands on it")
        return given

    def put(
        self, attended: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with another feature in its place."""
        if self.channels is not None:
            whole, (first, last) = self.whole(args, kwargs), self.channels
            attended = torch.cat([whole[:, :first], attended, whole[:, last:]], 1)
        if self.position is None or self.name in kwargs:
            return args, {**kwargs, str(self.name): attended}
        return (*args[: self.position], attended, *args[self.position + 1 :]), kwargs


class AttendOutput:
    """A forward hook that sends the output of a submodule through the attention.

    Args:
        attention: takes (x), or (x, gate).
        gate: the submodule's argument that is the gating signal; None if there is none.
    """

    def __init__(self, attention: nn.Module, gate: Argument | None) -> None:
        self.attention = attention
        self.gate = gate

    def __call__(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        attended: Tensor
        if self.gate is None:
            attended = self.attention(output)
        else:
            attended = self.attention(output, self.gate.of(args, kwargs))
        return attended


class AttendInput:
    """A forward pre-hook that sends an argument of a submodule through the attention.

    Args:
        attention: takes (x), or (x, gate).
        argument: the feature.
        gate: the argument that is the gating signal; None if there is none.
    """

    def __init__(self, attention: nn.Module, argument: Argument, gate: Argument | None) -> None:
        self.attention = attention
        self.argument = argument
        self.gate = gate

    def __call__(
        self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        x = self.argument.of(args, kwargs)
        attended = self.attention(x) if self.gate is None else self.attention(x, self.gate.of(args, kwargs))
        return self.argument.put(attended, args, kwargs)
