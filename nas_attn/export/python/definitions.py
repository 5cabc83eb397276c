"""Find the definitions that some classes need, by following the names in their sources.

Code that only checks arguments or registers classes is left out, because the exported file does not need it.
"""

from __future__ import annotations

import ast
import copy
import functools
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

from nas_attn.errors import ExportError, NasAttnError
from nas_attn.export.python.imports import Import
from nas_attn.export.python.names import eager_names, free_names, loaded
from nas_attn.models.catalogue import KINDS

_LEFT_BEHIND = "nas_attn.models.attention._registry"
"""The module whose decorators and calls do not affect any output."""


@dataclass(frozen=True)
class Definition:
    """A class, function or constant at the top level of one of our modules, or of a user's that adds an attention.

    Args:
        module: dotted name.
        name: of the definition.
    """

    module: str
    name: str


Meaning = Definition | Import | type[Exception]
"""The meaning of a name: a definition of ours, an import, or an error, which a built-in one can replace."""


def closure(wanted: Iterable[Definition]) -> dict[Definition, dict[str, Meaning]]:
    """Everything that some definitions need, with the meaning of the names in each. A definition comes before what
    only it needs."""
    found: dict[Definition, dict[str, Meaning]] = {}
    waiting = list(wanted)
    while waiting:
        definition = waiting.pop(0)
        if definition not in found:
            found[definition] = _meanings(definition)
            waiting[:0] = [meaning for meaning in found[definition].values() if isinstance(meaning, Definition)]
    return found


def in_order(found: Mapping[Definition, Mapping[str, Meaning]]) -> Iterator[Definition]:
    """The same definitions, each after those that have to be executed before it."""
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


def is_ours(module: str) -> bool:
    """Whether the definitions of a module are copied: it is nas-attn's, or belongs to a package that adds an
    attention."""
    return module.partition(".")[0] in {"nas_attn", *KINDS.packages()}


@functools.cache
def statement_of(definition: Definition) -> ast.stmt:
    """The statement of a definition, without code that only checks or registers."""
    return _pruned(original_of(definition), lambda name: _left_behind(definition.module, name))


def original_of(definition: Definition) -> ast.stmt:
    """The statement of a definition, as in its module."""
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


def _meanings(definition: Definition) -> dict[str, Meaning]:
    names = dict.fromkeys(name.id for name in free_names(statement_of(definition)))
    resolved = {name: _resolve(definition.module, name) for name in names}
    return {name: meaning for name, meaning in resolved.items() if meaning is not None}


def _resolve(module: str, name: str) -> Meaning | None:
    """The meaning of a name at the top level of a module; None for a built-in of Python."""
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
    """Whether a name only checks arguments or registers classes, so that the file does not need it."""
    meaning = _resolve(module, name)
    return isinstance(meaning, Definition) and meaning.module == _LEFT_BEHIND


def _pruned(statement: ast.stmt, idle: Callable[[str], bool]) -> ast.stmt:
    """A copy of a statement without its idle parts. What remains keeps its line numbers.

    Decorators and calls of idle functions are removed, then blocks that have become empty, then local variables
    that were only used by such a call.

    Args:
        statement: a definition.
        idle: whether a function of that name only checks or registers.
    """
    statement = copy.deepcopy(statement)
    for node in ast.walk(statement):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            node.decorator_list = [one for one in node.decorator_list if not _calls(one, idle)]
        if isinstance(node, ast.FunctionDef):
            _prune_function(node, idle)
    return statement


def _prune_function(function: ast.FunctionDef, idle: Callable[[str], bool]) -> None:
    gone: list[ast.stmt] = []
    function.body = _without(function.body, lambda statement: _is_idle(statement, idle), gone)
    fed = loaded(gone)
    if fed:
        needed = loaded(function.body)
        function.body = _without(function.body, lambda one: _only_feeds(one, fed - needed), gone)


def _without(body: list[ast.stmt], goes: Callable[[ast.stmt], bool], gone: list[ast.stmt]) -> list[ast.stmt]:
    kept = []
    for statement in body:
        if goes(statement):
            gone.append(statement)
            continue
        if isinstance(statement, ast.If | ast.For) and not statement.orelse:
            inside = _without(statement.body, goes, gone)
            if not inside:
                gone.append(statement)
                continue
            statement.body = inside
        kept.append(statement)
    return kept


def _is_idle(statement: ast.stmt, idle: Callable[[str], bool]) -> bool:
    return isinstance(statement, ast.Expr) and _calls(statement.value, idle)


def _only_feeds(statement: ast.stmt, names: set[str]) -> bool:
    """Whether a statement assigns one of these names, which are no longer read."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    target = statement.targets[0]
    return isinstance(target, ast.Name) and target.id in names


def _calls(node: ast.expr, idle: Callable[[str], bool]) -> bool:
    function = node.func if isinstance(node, ast.Call) else node
    return isinstance(function, ast.Name) and idle(function.id)


class _Module:
    """One of our modules: its source, and the meaning of each top-level name.

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
        """The module of an import, also if it is given relative to this one."""
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
