"""The names that a piece of source takes from its surroundings."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

Scope = (
    ast.FunctionDef
    | ast.AsyncFunctionDef
    | ast.Lambda
    | ast.ListComp
    | ast.SetComp
    | ast.DictComp
    | ast.GeneratorExp
)


def free_names(node: ast.AST) -> Iterator[ast.Name]:
    """The names that a statement reads and does not bind itself, including annotations."""
    yield from _free(node, frozenset())


def eager_names(statement: ast.stmt) -> Iterator[ast.Name]:
    """Those of them that must exist when the statement is executed, not when a function in it is called."""
    for part in _eager_parts(statement):
        yield from free_names(part)


def loaded(nodes: Iterable[ast.AST]) -> set[str]:
    """All names that are read in some nodes, wherever they are bound."""
    return {
        inner.id
        for node in nodes
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)
    }


def _free(node: ast.AST, bound: frozenset[str]) -> Iterator[ast.Name]:
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load) and node.id not in bound:
            yield node
        return
    inside = bound | _bound_in(node) if isinstance(node, Scope) else bound
    for name, child in _children(node):
        # What stands in the head of a function is evaluated outside of it.
        outside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and name in (
            "decorator_list",
            "returns",
        )
        yield from _free(child, bound if outside else inside)


def _bound_in(scope: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _eager_parts(node: ast.stmt) -> Iterator[ast.AST]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults))
    elif isinstance(node, ast.ClassDef):
        yield from (*node.decorator_list, *node.bases, *node.keywords)
        for statement in node.body:
            yield from _eager_parts(statement)
    elif isinstance(node, ast.AnnAssign):
        yield from filter(None, (node.value,))
    else:
        yield node


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield name, child
