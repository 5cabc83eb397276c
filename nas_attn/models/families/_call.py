"""Call a function that builds a network, with helpful errors."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nas_attn.errors import NetworkError, did_you_mean
from nas_attn.models.families import FAMILIES, Builder

if TYPE_CHECKING:
    from nas_attn.models.asked_network import AskedNetwork


def build_fresh(asked: AskedNetwork, in_channels: int, classes: int, seed: int) -> nn.Module:
    """The network with weights drawn from a seed. The global random stream is left unchanged.

    Raises:
        NetworkError: it cannot be built as asked.
    """
    return drawn(FAMILIES[asked.family].plan(asked, in_channels, classes), seed)


def drawn(builder: Builder, seed: int) -> nn.Module:
    """The result of a call, with weights drawn from a seed. The global random stream is left unchanged.

    Raises:
        NetworkError: it takes other arguments, fails, or returns no module.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, about their own past
        torch.manual_seed(seed)
        return _built(builder)


def library(name: str, extra: str) -> ModuleType:
    """Import a library that a family needs.

    Args:
        name: of the module.
        extra: of nas-attn that installs it.
    Raises:
        NetworkError: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = getattr(error, "name", None) or name
        raise NetworkError(
            f"{missing} is not installed, and networks of {extra} need it: pip install 'nas-attn[{extra}]'"
        ) from error


def known(name: str, names: Iterable[str], what: str) -> str:
    """A name in the library's own spelling, whatever its case.

    Raises:
        NetworkError: there is no such name.
    """
    names = list(names)
    same = [one for one in names if one.lower() == name.lower()]
    if not same:
        raise NetworkError(f"{what} has no network '{name}'; {did_you_mean(name, names)}")
    return same[0]


def parameters_of(builder: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a class or function by name; empty if Python cannot tell."""
    try:
        return inspect.signature(builder).parameters
    except (TypeError, ValueError):
        return {}


def first_line(error: Exception) -> str:
    """The first line of an error, shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else ""


def _built(builder: Builder) -> nn.Module:
    """The network with initial weights, drawn from torch's global generator."""
    what = builder.title
    if problem := _argument_problem(builder.function, builder.arguments):
        raise NetworkError(f"{what}: {problem}")
    try:
        network = builder.function(**builder.arguments)
    except Exception as error:  # whatever the code of others raises
        raise NetworkError(f"{what} cannot be built: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(network, nn.Module):
        raise NetworkError(f"{what} gives {type(network).__name__} and no torch.nn.Module")
    return network


def _argument_problem(builder: Callable[..., Any], arguments: Mapping[str, Any]) -> str | None:
    parameters = parameters_of(builder)
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    named = {
        name: one for name, one in parameters.items() if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    if not parameters:
        return None
    if not takes_any and (unknown := [name for name in arguments if name not in named]):
        return f"takes no argument '{unknown[0]}'; {did_you_mean(unknown[0], named)}"
    needed = [name for name, one in named.items() if one.default is one.empty and name not in arguments]
    if needed:
        example = ", ".join(f"{name}: ..." for name in needed)
        return f"asks for {', '.join(needed)}; write arguments: {{{example}}} in a network file"
    return None
