"""The attention kinds, known without importing torch."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_attn.models.kind import AttentionKind
from nas_attn.registry import Registry

if TYPE_CHECKING:
    from torch import nn

PACKAGE = "nas_attn.models.attention"
_WITHOUT_TORCH = ("nas_attn.models.kind", "nas_attn.models.placement")


@dataclass(frozen=True)
class Attention:
    """A kind and the module that computes it.

    Args:
        kind: its description.
        module: takes keyword arguments: ``channels``; those of ``gate_channels``, ``block_channels`` and
            ``classes`` that the kind needs; and the kind's own options.
    """

    kind: AttentionKind
    module: Callable[..., nn.Module]


KINDS: Registry[Attention] = Registry(
    PACKAGE,
    "attention",
    "nas_attn.attentions",
    of=lambda entry: entry.module,
    named=lambda entry, name: replace(entry, kind=replace(entry.kind, name=name)),
)
"""Description and module of every kind. Looking up one of nas-attn's own imports torch."""


class Catalogue(Mapping[str, AttentionKind]):
    """The descriptions of all kinds by name, in alphabetical order.

    Those of nas-attn's own kinds are read from the source of their files; a user's module is imported. A name such
    as ``my_package.my_module:MyAttention`` is a key too, once it was looked up.

    Raises:
        RegistryError: a name belongs to a user's module that cannot be used.
    """

    def __getitem__(self, name: str) -> AttentionKind:
        if own := _own_kinds().get(name):
            return own.kind
        if (entry := KINDS.outside(name)) is None:
            raise KeyError(name)
        return entry.kind

    def __iter__(self) -> Iterator[str]:
        offered = KINDS.offered().keys() - _own_kinds().keys()
        broken = KINDS.broken() if offered else {}
        return iter(sorted({*_own_kinds(), *(offered - broken.keys())}))

    def __len__(self) -> int:
        return sum(1 for _ in self)


_CATALOGUE = Catalogue()


def catalogue() -> Mapping[str, AttentionKind]:
    """The descriptions of all kinds by name, in alphabetical order."""
    return _CATALOGUE


def docstring_of(name: str) -> str:
    """Docstring of the module of a kind.

    Raises:
        RegistryError: there is no such kind.
    """
    if own := _own_kinds().get(name):
        return own.docstring
    return (KINDS[name].module.__doc__ or "").strip()


@dataclass(frozen=True)
class _Facts:
    """One of nas-attn's own kinds, as the source of its file describes it."""

    kind: AttentionKind
    docstring: str


@functools.cache
def _own_kinds() -> Mapping[str, _Facts]:
    files = sorted(path.stem for path in _folder().glob("[!_]*.py"))
    return {own.kind.name: own for name in files for own in _kinds_in(name)}


def _folder() -> Path:
    """Folder of the attention package, which is not imported."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{PACKAGE} has no file")
    return Path(spec.origin).parent


def _kinds_in(name: str) -> list[_Facts]:
    """The kinds of one file, which is imported if its source alone is not enough."""
    classes = [node for node in _tree(name).body if isinstance(node, ast.ClassDef)]
    facts = _facts(name)
    found = []
    for node in classes:
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "attention":
                source = ast.unparse(decorator.args[0])
                kind = facts.get(source) or getattr(importlib.import_module(f"{PACKAGE}.{name}"), source)
                found.append(_Facts(kind, ast.get_docstring(node) or ""))
    return found


@functools.cache
def _tree(name: str) -> ast.Module:
    return ast.parse((_folder() / f"{name}.py").read_text(encoding="utf-8"))


@functools.cache
def _facts(name: str) -> Mapping[str, Any]:
    """The constants at the top of one of our files that need only plain values and ``AttentionKind``."""
    values: dict[str, Any] = {}
    for statement in _tree(name).body:
        if isinstance(statement, ast.ImportFrom) and statement.module:
            values |= _imports(statement, statement.module)
        elif isinstance(statement, ast.Assign):
            try:
                exec(compile(ast.Module([statement], []), name, "exec"), values)
            except NameError:  # made with torch, and so no fact
                continue
    return values


def _imports(statement: ast.ImportFrom, module: str) -> dict[str, Any]:
    """What a file imports from modules without torch, or from the constants of another file of its package."""
    if module in _WITHOUT_TORCH:
        home: Mapping[str, Any] = vars(importlib.import_module(module))
    elif module.startswith(f"{PACKAGE}.") and not module.startswith(f"{PACKAGE}._"):
        home = _facts(module.removeprefix(f"{PACKAGE}."))
    else:
        return {}
    return {alias.asname or alias.name: home[alias.name] for alias in statement.names if alias.name in home}
