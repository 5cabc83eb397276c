"""The definitions that some classes need, found by following the names in their sources."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

from nas_attn.errors import ExportError, NasAttnError
from nas_attn.export.python.names import eager_names, free_names
from nas_attn.export.python.prune import pruned
from nas_attn.models.catalogue import KINDS


def is_ours(module: str) -> bool:
    """Whether what a module defines is copied: it is nas-attn's, or of a package that adds an attention."""
    return module.partition(".")[0] in {"nas_attn", *KINDS.packages()}


@dataclass(frozen=True, order=True)
class Import:
    """``from module import name as alias``, or ``import module as alias`` where the name is empty."""

    module: str
    name: str
    alias: str

    def __str__(self) -> str:
        target = self.name or self.module
        known_as = "" if self.alias == target else f" as {self.alias}"
        return f"{target}{known_as}"


@dataclass(frozen=True)
class Definition:
    """A class, function or constant at the top of one of our modules, or of a user's that adds an attention.

    Args:
        module: dotted name.
        name: of what is defined.
    """

    module: str
    name: str


Meaning = Definition | Import | type[Exception]
"""What a name stands for: something of ours, something of others, or an error, for which a built-in will do."""


def closure(wanted: Iterable[Definition]) -> dict[Definition, dict[str, Meaning]]:
    """Everything that some definitions need, with what the names in each mean; each before what only it needs."""
    found: dict[Definition, dict[str, Meaning]] = {}
    waiting = list(wanted)
    while waiting:
        definition = waiting.pop(0)
        if definition not in found:
            found[definition] = _meanings(definition)
            waiting[:0] = [meaning for meaning in found[definition].values() if isinstance(meaning, Definition)]
    return found


def in_order(found: Mapping[Definition, Mapping[str, Meaning]]) -> Iterator[Definition]:
    """The same definitions, each after those without which it cannot be executed."""
    done: set[Definition] = set()

    def settle(definition: Definition) -> Iterator[Definition]:
        if definition in done:
            return
        done.add(definition)
        for name in eager_names(statement_of(definition)):
            meaning = found[definition].get(name.id)
            if isinstance(meaning, Definition):
                yield from settle(meaning)
        yield definition

    for definition in found:
        yield from settle(definition)


@functools.cache
def statement_of(definition: Definition) -> ast.stmt:
    """The statement that defines it, without what only checks or registers."""
    return pruned(original_of(definition), lambda name: _left_behind(definition.module, name))


def original_of(definition: Definition) -> ast.stmt:
    """The statement that defines it, as it stands in its module."""
    statements = _Module.of(definition.module).statements
    if definition.name not in statements:
        raise ExportError(
            f"python: {definition.name} is not defined at the top of {definition.module}, whose source would be "
            "copied; define it there"
        )
    return statements[definition.name]


def source_lines(definition: Definition) -> list[str]:
    """The lines of its module."""
    return _Module.of(definition.module).lines


class _Module:
    """One of our modules: its source, and what each name at its top is.

    Args:
        name: dotted name.
    """

    def __init__(self, name: str) -> None:
        module = importlib.import_module(name)
        source = _source_of(module)
        self._package = module.__package__ or ""
        self.lines = source.splitlines(keepends=True)
        self.statements: dict[str, ast.stmt] = {}
        self.imports: dict[str, Import] = {}
        for statement in ast.parse(source).body:
            self._add(statement)

    @classmethod
    @functools.cache
    def of(cls, name: str) -> _Module:
        """The module of that name, read once."""
        return cls(name)

    def _absolute(self, statement: ast.ImportFrom) -> str:
        """The module from which is imported, where it is given relative to this one as well."""
        relative = "." * statement.level + (statement.module or "")
        return importlib.util.resolve_name(relative, self._package)

    def _add(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.If):  # if TYPE_CHECKING
            for inner in statement.body:
                self._add(inner)
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                known_as = alias.asname or alias.name.partition(".")[0]
                self.imports[known_as] = Import(alias.name if alias.asname else known_as, "", known_as)
        elif isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                known_as = alias.asname or alias.name
                self.imports[known_as] = Import(self._absolute(statement), alias.name, known_as)
        elif isinstance(statement, ast.ClassDef | ast.FunctionDef):
            self.statements[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            self.statements |= {target.id: statement for target in targets if isinstance(target, ast.Name)}


def _source_of(module: ModuleType) -> str:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        raise ExportError(
            f"python: the source of {module.__name__} would be copied and cannot be read; install it with "
            "its .py files"
        ) from None


def _meanings(definition: Definition) -> dict[str, Meaning]:
    names = dict.fromkeys(name.id for name in free_names(statement_of(definition)))
    resolved = {name: _resolve(definition.module, name) for name in names}
    return {name: meaning for name, meaning in resolved.items() if meaning is not None}


def _resolve(module: str, name: str) -> Meaning | None:
    """What a name at the top of a module stands for; None for what Python has built in."""
    home = _Module.of(module)
    if name in home.statements:
        value = getattr(importlib.import_module(module), name)
        if isinstance(value, type) and issubclass(value, NasAttnError):
            return ValueError
        return Definition(module, name)
    if name not in home.imports:
        return None
    imported = home.imports[name]
    if not is_ours(imported.module):
        return imported
    return _resolve(imported.module, imported.name)


def _left_behind(module: str, name: str) -> bool:
    """Whether what bears this name checks arguments or registers classes, for which the file has no use."""
    meaning = _resolve(module, name)
    return isinstance(meaning, Definition) and meaning.module in LEFT_BEHIND


LEFT_BEHIND = ("nas_attn.models.attention._registry", "nas_attn.models.attention._check")
"""Modules whose decorators and calls do nothing that shows in an output."""
