"""Keep PyTorch's compiler unloaded while nothing is compiled."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FunctionType
from typing import Any

_COMPILER = "torch._dynamo"
_MARKS = "torch._compile"
"""The PyTorch module whose wrapper marks functions that the compiler is to leave alone."""
_KEPT = "__dynamo_disable"
"""Attribute in which the wrapper keeps the compiler's version of such a function."""


def spare_compiler(owner: type) -> None:
    """Run the methods that PyTorch's compiler is to leave alone without loading the compiler.

    PyTorch loads the compiler at the first call of such a method, for example with the first optimiser. That takes
    longer than loading the rest of PyTorch, although nothing is compiled. If the compiler is loaded already, the
    methods behave as in PyTorch. A PyTorch that marks its functions differently is left unchanged.

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
        with suppress(AttributeError):  # another thread was first
            delattr(plain, _KEPT)
        return marked(*arguments, **named)

    return run
