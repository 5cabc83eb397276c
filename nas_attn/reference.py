"""Objects of a user's own modules, by ``module:name``. Importing a module runs its code."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from nas_attn.errors import NasAttnError, RegistryError, did_you_mean

Listener = Callable[[str], None]
listeners: list[Listener] = []
"""Each is called, in words, with the module that is imported because a file or a command names it."""


@dataclass(frozen=True)
class Origin:
    """Origin of an entry that is not nas-attn's own.

    Args:
        reference: ``module:name``, by which every process finds it.
        package: name and version of the installed package that offers it; empty if there is none.
    """

    reference: str
    package: str = ""

    def __str__(self) -> str:
        return f"{self.reference} of {self.package}" if self.package else self.reference


def is_reference(name: str) -> bool:
    """Whether a name has the form ``module:name``."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), attribute))


def announce(reference: str, noun: str) -> None:
    """Tell all listeners that a module is about to be imported.

    Args:
        reference: ``module:name``.
        noun: kind of the object, such as ``attention``.
    """
    for listener in listeners:
        listener(f"imports the module {reference.partition(':')[0]} for the {noun} {reference}")


def thing_of(what: str, reference: str) -> object:
    """The object that ``module:name`` names.

    Raises:
        RegistryError: there is none, or its module fails; in one line, which says where.
    """
    name, _, attribute = reference.partition(":")
    module = _module(what, name)
    if not hasattr(module, attribute):
        raise RegistryError(f"{what}: {name} has no '{attribute}'; {did_you_mean(attribute, _public(module))}")
    return getattr(module, attribute)


def _public(module: ModuleType) -> list[str]:
    return [name for name in vars(module) if not name.startswith("_")]


def _module(what: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise RegistryError(f"{what}: {_told(error)}") from error
        raise RegistryError(
            f"{what}: there is no module '{error.name}'; install the package that has it, or put its folder on "
            "PYTHONPATH"
        ) from error
    except Exception as error:  # whatever a user's module raises
        raise RegistryError(f"{what}: {_told(error)}") from error


def _told(error: Exception) -> str:
    """Where a module failed and why, in one line."""
    last = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")][-1]
    place = f"{last.filename}:{last.lineno}"
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    why = "; ".join(error.problems) if isinstance(error, NasAttnError) else f"{type(error).__name__}: {error}"
    return f"{place}: {' '.join(why.split())}"
