"""How the modules of a network were constructed, and values as Python expressions."""

from __future__ import annotations

import functools
import inspect
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas_attn.errors import ExportError
from nas_attn.export.python.definitions import is_ours
from nas_attn.models.catalogue import KINDS

LINE = 115
"""Maximum length of a line, as everywhere in nas-attn."""


@dataclass(frozen=True, eq=False)
class Construction:
    """One call of a constructor.

    Args:
        made_by: the class, or a function that returns a module.
        args: positional arguments.
        options: keyword arguments.
    """

    made_by: Callable[..., Any]
    args: tuple[Any, ...]
    options: dict[str, Any]


@contextmanager
def constructions() -> Iterator[dict[nn.Module, Construction]]:
    """A context that records how each module within it is constructed.

    Modules keep what they computed from their arguments, not the arguments. Since the calls are recorded from
    outside, a new attention can be exported without any code of its own.
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
    """Every module class of the recorded packages with a constructor of its own."""
    found, waiting = [], [nn.Module]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            recorded = is_ours(kind.__module__) or kind.__module__.startswith("torch.nn.")
            if recorded and "__init__" in kind.__dict__:
                found.append(kind)
    return list(dict.fromkeys(found))


class Name(str):
    """The name of a variable, which is written without quotes."""

    __slots__ = ()


def classes_in(value: Any, made: Mapping[nn.Module, Construction]) -> Iterator[Callable[..., Any]]:
    """The classes and functions that an expression names, the outermost first.

    Args:
        value: as in ``Writer.write``.
        made: how each module was constructed.
    """
    if isinstance(value, nn.Module):
        call = _call_of(value, made)
        yield call.made_by
        value = (call.args, call.options)
    if isinstance(value, type):
        yield value
    elif isinstance(value, functools.partial):
        yield functools.partial
        yield from classes_in((value.func, value.args, value.keywords), made)
    elif isinstance(value, Mapping):
        yield from classes_in(tuple(value.values()), made)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from classes_in(item, made)


class Writer:
    """Writes values as expressions.

    Args:
        made: how each module was constructed.
        name_of: returns the name of a class in the text.
    """

    def __init__(self, made: Mapping[nn.Module, Construction], name_of: Callable[[Any], str]) -> None:
        self._made = made
        self._name_of = name_of

    def write(self, value: Any, indent: str, before: int) -> str:
        """Write an expression, on as many lines as it needs.

        Args:
            value: a recorded module, or plain values and containers of them.
            indent: of the line on which the expression starts.
            before: number of columns before the expression on that line.
        """
        if isinstance(value, nn.Module):
            call = _call_of(value, self._made)
            options = {
                name: item for name, item in call.options.items() if not _is_left_out(call.made_by, name, item)
            }
            return self._call_text(self._name_of(call.made_by), call.args, options, indent, before)
        if isinstance(value, functools.partial):
            return self._call_text("partial", (value.func, *value.args), value.keywords, indent, before)
        if isinstance(value, type):
            return self._name_of(value)
        if isinstance(value, Mapping):
            return self._wrapped(
                "{", [(f"{text(key)}: ", item) for key, item in value.items()], "}", indent, before
            )
        if isinstance(value, set | frozenset):
            return (
                self._wrapped("{", [("", item) for item in sorted(value)], "}", indent, before)
                if value
                else "set()"
            )
        if isinstance(value, list | tuple):
            return self._sequence(value, indent, before)
        return text(value)

    def _call_text(self, name: str, args: Any, options: Mapping[str, Any], indent: str, before: int) -> str:
        items = [("", value) for value in args] + [(f"{key}=", value) for key, value in options.items()]
        return self._wrapped(f"{name}(", items, ")", indent, before)

    def _sequence(self, values: Any, indent: str, before: int) -> str:
        if isinstance(values, tuple) and len(values) == 1:
            return f"({self.write(values[0], indent, before + 1)},)"
        opening, closing = "()" if isinstance(values, tuple) else "[]"
        return self._wrapped(opening, [("", value) for value in values], closing, indent, before)

    def _wrapped(self, opening: str, items: list[tuple[str, Any]], closing: str, indent: str, before: int) -> str:
        whole = opening + ", ".join(key + self.write(value, "", 0) for key, value in items) + closing
        if "\n" not in whole and before + len(whole) < LINE:
            return whole
        inner = indent + "    "
        lines = [f"{inner}{key}{self.write(value, inner, len(inner + key))},\n" for key, value in items]
        return f"{opening}\n{''.join(lines)}{indent}{closing}"


def text(value: Any) -> str:
    """A plain value as text, with strings in double quotes.

    Raises:
        ExportError: it is not a plain value.
    """
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, str):
        return json.dumps(str(value), ensure_ascii=False)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise ExportError(f"python: a constructor is given {value!r}, which cannot be written down")


def _call_of(module: nn.Module, made: Mapping[nn.Module, Construction]) -> Construction:
    if module not in made:
        raise ExportError(
            f"python: {type(module).__name__} is given to a constructor and was not made with the network; "
            "let the attention make it"
        )
    return made[module]


def _is_left_out(made_by: Callable[..., Any], name: str, value: Any) -> bool:
    """Whether an argument can be left out because it is as empty as the constructor's default."""
    parameter = inspect.signature(made_by).parameters.get(name)
    default = None if parameter is None else parameter.default
    return isinstance(value, Collection) and isinstance(default, Collection) and not value and not default
