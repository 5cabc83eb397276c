"""Copy the sources of some definitions, with everything that they refer to, as a text that does not need
nas-attn."""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from nas_attn.errors import ExportError
from nas_attn.export.python.definitions import (
    Definition,
    Meaning,
    closure,
    in_order,
    is_ours,
    original_of,
    source_lines,
    statement_of,
)
from nas_attn.export.python.imports import Import
from nas_attn.export.python.names import free_names

NN = Import("torch", "nn", "nn")
_PARTIAL = Import("functools", "partial", "partial")

Found = Mapping[Definition, Mapping[str, Meaning]]


@dataclass(frozen=True, eq=False)
class Carried:
    """Copied sources.

    Args:
        names: name of each definition in the text.
        imports: of the text from other packages.
        text: all definitions, each with the empty lines before it.
        elsewhere: how to import the classes and functions that are not ours.
    """

    names: Mapping[Definition, str]
    imports: tuple[Import, ...]
    text: str
    elsewhere: Mapping[Callable[..., Any], Import]

    def name_of(self, kind: Callable[..., Any]) -> str:
        """Name of a class or function in the text."""
        if kind not in self.elsewhere:
            return self.names[_definition_of(kind)]
        found = self.elsewhere[kind]
        return f"nn.{kind.__name__}" if found == NN else found.alias


def carried(
    kinds: Iterable[Callable[..., Any]],
    wanted: Iterable[Definition],
    taken: Collection[str],
    elsewhere: Mapping[Callable[..., Any], Import] = MappingProxyType({}),
) -> Carried:
    """The sources of some classes and other definitions, and of everything that they need.

    Args:
        kinds: classes and functions; those that are not ours are imported.
        wanted: the other definitions.
        taken: names that have another meaning in the file.
        elsewhere: how those of libraries other than PyTorch are imported.
    Raises:
        ExportError: a source cannot be read, or one name would have two meanings.
    """
    kinds = list(kinds)
    theirs = {
        kind: elsewhere.get(kind, _PARTIAL if kind is functools.partial else NN)
        for kind in kinds
        if kind in elsewhere or not is_ours(kind.__module__)
    }
    found = closure([*(_definition_of(kind) for kind in kinds if kind not in theirs), *wanted])
    names = _names(found, taken)
    imports = (*theirs.values(), *_imports(found))
    return Carried(names, imports, "".join(_texts(found, names)), theirs)


def _definition_of(kind: Callable[..., Any]) -> Definition:
    return Definition(kind.__module__, kind.__name__)


def _texts(found: Found, names: Mapping[Definition, str]) -> Iterator[str]:
    before: Definition | None = None
    for definition in in_order(_top_down(found)):
        called = {
            name: names[meaning] if isinstance(meaning, Definition) else "ValueError"
            for name, meaning in found[definition].items()
            if not isinstance(meaning, Import)
        }
        text = _text(definition, called, names[definition])
        together = before is not None and all(_is_constant(one) for one in (before, definition))
        yield text if together else f"\n\n{text}"
        before = definition


def _is_constant(definition: Definition) -> bool:
    return not isinstance(statement_of(definition), ast.ClassDef | ast.FunctionDef)


def _top_down(found: Found) -> dict[Definition, Mapping[str, Meaning]]:
    """Module by module in the order of discovery, each in the order of its lines."""
    modules = list(dict.fromkeys(definition.module for definition in found))
    ordered = sorted(found, key=lambda one: (modules.index(one.module), original_of(one).lineno))
    return {definition: found[definition] for definition in ordered}


def _names(found: Iterable[Definition], taken: Collection[str]) -> dict[Definition, str]:
    """A name for each definition: its own or, if that is taken, with the name of its module as a prefix."""
    names: dict[Definition, str] = {}
    for definition in found:
        name, module = definition.name, definition.module.rpartition(".")[2].strip("_")
        while name in taken or name in names.values():
            name = _longer(name, module)
        names[definition] = name
    return names


def _longer(name: str, module: str) -> str:
    """A name with its module as a prefix: ``_resized`` of psa becomes ``_psa_resized``, ``SIZE`` ``PSA_SIZE`` and
    ``Branch`` ``PsaBranch``."""
    underscore, plain = "_" * name.startswith("_"), name.lstrip("_")
    if plain.isupper():
        return f"{underscore}{module.upper()}_{plain}"
    if plain[:1].isupper():
        return f"{underscore}{module.title().replace('_', '')}{plain}"
    return f"{underscore}{module}_{plain}"


def _imports(found: Found) -> list[Import]:
    """The imports. Raises ExportError if one name would have two meanings."""
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


def _text(definition: Definition, called: Mapping[str, str], own_name: str) -> str:
    """The lines of a definition's source, without pruned parts, with short docstrings and other names.

    Args:
        definition: to copy.
        called: for each name in it that refers to our definitions, its name in the text.
        own_name: the name of the definition in the text.
    """
    lines, statement = source_lines(definition), statement_of(definition)
    kept = {number: lines[number - 1] for number in range(_first(lines, statement), _last(statement) + 1)}
    _rename(kept, statement, {name: other for name, other in called.items() if name != other})
    _rename_definition(kept, statement, own_name)
    for start, end in _spans(original_of(definition)) - _spans(statement):
        _remove(kept, start, end)
    for owner in ast.walk(statement):
        if isinstance(owner, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(owner) is not None:
            _shorten(kept, owner.body[0])
    return "".join(kept[number] for number in sorted(kept))


def _first(lines: Sequence[str], statement: ast.stmt) -> int:
    """The first line of a definition, including its decorators and the comment above."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    return first


def _last(statement: ast.AST) -> int:
    """The last line of a statement, which the parser has set."""
    last: int = statement.end_lineno  # type: ignore[attr-defined]
    return last


def _spans(statement: ast.stmt) -> set[tuple[int, int]]:
    """First and last line of every statement in a definition."""
    inner = [node for node in ast.walk(statement) if isinstance(node, ast.stmt) and node is not statement]
    return {(node.lineno, _last(node)) for node in inner}


def _remove(kept: dict[int, str], start: int, end: int) -> None:
    while kept.get(start - 1, "").lstrip().startswith("#"):
        start -= 1
    for number in range(start, end + 1):
        kept.pop(number, None)


def _rename(kept: dict[int, str], statement: ast.stmt, names: Mapping[str, str]) -> None:
    nodes = [node for node in free_names(statement) if node.id in names]
    strings = [node for node in ast.walk(statement) if isinstance(node, ast.JoinedStr)]
    # Columns of names within an f-string are not to be relied on before Python 3.12.
    in_strings = {id(name) for string in strings for name in ast.walk(string)}
    for node in sorted(nodes, key=lambda node: node.col_offset, reverse=True):
        if id(node) not in in_strings:
            line = kept[node.lineno].encode()  # columns count bytes
            before, after = line[: node.col_offset], line[node.end_col_offset :]
            kept[node.lineno] = before.decode() + names[node.id] + after.decode()
    for string in strings:
        for number in range(string.lineno, _last(string) + 1):
            for name, other in names.items():
                kept[number] = re.sub(rf"(?<=[{{(]){name}\b", other, kept[number])


def _rename_definition(kept: dict[int, str], statement: ast.stmt, name: str) -> None:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        pattern = rf"^(class|def) {statement.name}\b"
        kept[statement.lineno] = re.sub(pattern, rf"\1 {name}", kept[statement.lineno])
    else:
        kept[statement.lineno] = re.sub(r"^\w+", name, kept[statement.lineno])


def _shorten(kept: dict[int, str], docstring: ast.stmt) -> None:
    """Shorten a docstring to what the definition does, its equation, and its shapes."""
    start, end = docstring.lineno, _last(docstring)
    text = "".join(kept[number] for number in range(start, end + 1))
    indent = text[: len(text) - len(text.lstrip())]
    shortened = _short_docstring(text.strip().strip('"'))
    for number in range(start, end + 1):
        del kept[number]
    lines = [line and indent + line for line in shortened.split("\n")]
    kept[start] = "\n".join(lines) + "\n"


def _short_docstring(text: str) -> str:
    """A docstring with its quotes: the first paragraph, the equations below it, and the line of shapes."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    parts = paragraphs[:1]
    for paragraph in paragraphs[1:]:
        if not paragraph.startswith("    "):
            break
        parts.append(paragraph)
    if shape := re.search(r"(?m)^Shape: .*(?:\n[ ]+.*)*", "\n\n".join(paragraphs)):
        parts.append(shape[0])
    whole = "\n\n".join(parts)
    return f'"""{whole}"""' if "\n" not in whole else f'"""{whole}\n"""'
