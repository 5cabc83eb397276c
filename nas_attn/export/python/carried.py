"""The sources of some definitions with all that they refer to, as a text that needs nothing of nas-attn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nas_attn.errors import ExportError
from nas_attn.export.python.definitions import (
    Definition,
    Import,
    Meaning,
    closure,
    in_order,
    is_ours,
    original_of,
    source_lines,
    statement_of,
)
from nas_attn.export.python.render import is_constant, rendered

NN = Import("torch", "nn", "nn")
_PARTIAL = Import("functools", "partial", "partial")

Found = Mapping[Definition, Mapping[str, Meaning]]


@dataclass(frozen=True, eq=False)
class Carried:
    """Copied sources.

    Args:
        names: what each definition is called in the text.
        imports: what the text takes from other packages.
        text: all definitions, each with the empty lines in front of it.
    """

    names: Mapping[Definition, str]
    imports: tuple[Import, ...]
    text: str


def carried(wanted: Iterable[Definition], taken: Collection[str]) -> Carried:
    """The sources of some definitions and of all that they need.

    Args:
        wanted: the definitions.
        taken: names that mean something else in the file.
    Raises:
        ExportError: a source cannot be read, or one name would have to mean two things.
    """
    found = closure(wanted)
    names = _names(found, taken)
    return Carried(names, tuple(_imports(found)), "".join(_texts(found, names)))


def definition_of(thing: Callable[..., Any]) -> Definition:
    """Where a class or function of ours is defined."""
    return Definition(thing.__module__, thing.__name__)


def written_name(kind: Callable[..., Any], names: Mapping[Definition, str]) -> str:
    """What a class or function is called in the text: of ours by its name there, else as one of ``torch.nn``."""
    return names[definition_of(kind)] if is_ours(kind.__module__) else f"nn.{kind.__name__}"


def imports_of(kinds: Iterable[Callable[..., Any]]) -> list[Import]:
    """What those that are not ours are imported by."""
    return [_PARTIAL if kind is functools.partial else NN for kind in kinds if not is_ours(kind.__module__)]


def _texts(found: Found, names: Mapping[Definition, str]) -> Iterator[str]:
    before: Definition | None = None
    for definition in in_order(_top_down(found)):
        meanings = found[definition]
        called = {
            name: names[meaning] if isinstance(meaning, Definition) else "ValueError"
            for name, meaning in meanings.items()
            if not isinstance(meaning, Import)
        }
        text = rendered(
            source_lines(definition),
            original_of(definition),
            statement_of(definition),
            called,
            names[definition],
        )
        together = before is not None and all(is_constant(statement_of(one)) for one in (before, definition))
        yield text if together else f"\n\n{text}"
        before = definition


def _top_down(found: Found) -> dict[Definition, Mapping[str, Meaning]]:
    """Module by module in the order of discovery, each in the order of its lines."""
    modules = list(dict.fromkeys(definition.module for definition in found))
    ordered = sorted(found, key=lambda one: (modules.index(one.module), original_of(one).lineno))
    return {definition: found[definition] for definition in ordered}


def _names(found: Iterable[Definition], taken: Collection[str]) -> dict[Definition, str]:
    """A name for each definition: its own, or, where that is taken, with the name of its module in front."""
    names: dict[Definition, str] = {}
    for definition in found:
        name, module = definition.name, definition.module.rpartition(".")[2].strip("_")
        while name in taken or name in names.values():
            name = _longer(name, module)
        names[definition] = name
    return names


def _longer(name: str, module: str) -> str:
    """``_resized`` of psa becomes ``_psa_resized``, ``SIZE`` ``PSA_SIZE`` and ``Branch`` ``PsaBranch``."""
    underscore, plain = "_" * name.startswith("_"), name.lstrip("_")
    if plain.isupper():
        return f"{underscore}{module.upper()}_{plain}"
    if plain[:1].isupper():
        return f"{underscore}{module.title().replace('_', '')}{plain}"
    return f"{underscore}{module}_{plain}"


def _imports(found: Found) -> list[Import]:
    """Raises ExportError where one name would have to mean two things."""
    imports = [
        meaning for meanings in found.values() for meaning in meanings.values() if isinstance(meaning, Import)
    ]
    by_alias = {one.alias: one for one in imports}
    if clashes := [one for one in imports if by_alias[one.alias] != one]:
        raise ExportError(
            f"python: '{clashes[0].alias}' is imported from {clashes[0].module} and from "
            f"{by_alias[clashes[0].alias].module}; give one of them another name in the attention's file"
        )
    return imports
