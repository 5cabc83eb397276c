"""How the modules of a network were made: which constructor was called, with what."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas_attn.export.python.definitions import is_ours
from nas_attn.models.catalogue import KINDS


@dataclass(frozen=True, eq=False)
class Construction:
    """One call of a constructor.

    Args:
        made_by: the class, or a function that makes one.
        args: by position.
        options: by keyword.
    """

    made_by: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]


@contextmanager
def constructions() -> Iterator[dict[nn.Module, Construction]]:
    """A context that notes how each module is made that is made within it.

    Modules keep what they computed from their arguments, not the arguments. Noting the calls needs no word from
    the classes, so that a new attention is exported without knowing of it.
    """
    len(KINDS)  # every class must be imported by now to be noted
    made: dict[nn.Module, Construction] = {}
    originals = [(kind, kind.__dict__["__init__"]) for kind in _module_classes()]
    try:
        for kind, original in originals:
            kind.__init__ = _noting(original, made)  # type: ignore[method-assign]
        yield made
    finally:
        for kind, original in originals:
            kind.__init__ = original  # type: ignore[method-assign]


def _noting(original: Callable[..., None], made: dict[nn.Module, Construction]) -> Callable[..., None]:
    @functools.wraps(original)
    def init(module: nn.Module, *args: Any, **options: Any) -> None:
        # The outermost constructor comes first; those of its base classes are its own affair.
        made.setdefault(module, Construction(type(module), args, options))
        original(module, *args, **options)

    return init


def _module_classes() -> list[type[nn.Module]]:
    """Every module class of the recorded packages that has a constructor of its own."""
    found, waiting = [], [nn.Module]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            recorded = is_ours(kind.__module__) or kind.__module__.startswith("torch.nn.")
            if recorded and "__init__" in kind.__dict__:
                found.append(kind)
    return list(dict.fromkeys(found))
