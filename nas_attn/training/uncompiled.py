"""PyTorch's compiler stays unloaded where nothing is compiled."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FunctionType
from typing import Any

_COMPILER = "torch._dynamo"
_MARKS = "torch._compile"
"""Where PyTorch marks a function as one that its compiler is to leave alone."""
_KEPT = "__dynamo_disable"
"""Attribute by which such a function keeps what its compiler has made of it."""


def spare_compiler(owner: type) -> None:
    """Let what PyTorch's compiler is to leave alone run as it is, as long as nobody has loaded the compiler.

    PyTorch loads it at the first call of such a function, as with the first optimiser, only to hear that nothing
    is compiled, which takes longer than to load the rest of PyTorch. Once it is loaded by whoever compiles
    something, all is as PyTorch has it. A PyTorch that marks its functions otherwise is left as it is.

    Args:
        owner: a class of PyTorch with such methods.
    """
    for marked in vars(owner).values():
        if isinstance(marked, FunctionType) and marked.__globals__["__name__"] == _MARKS:
            plain = getattr(marked, "__wrapped__", None)
            if plain is not None and not hasattr(plain, _KEPT):
                setattr(plain, _KEPT, _uncompiled(marked, plain))


def _uncompiled(marked: FunctionType, plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def run(*arguments: Any, **named: Any) -> Any:
        if _COMPILER not in sys.modules:
            return plain(*arguments, **named)
        with suppress(AttributeError):  # another thread was sooner
            delattr(plain, _KEPT)
        return marked(*arguments, **named)

    return run
