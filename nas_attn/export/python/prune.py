"""A definition without the statements that only check or register."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from typing import TypeVar

from nas_attn.export.python.names import loaded

S = TypeVar("S", bound=ast.stmt)

Idle = Callable[[str], bool]
"""Whether a function of this name has no effect but to refuse or to register."""


def pruned(statement: S, idle: Idle) -> S:
    """A copy of a statement without its idle parts; what remains keeps its place in the source.

    Decorators and calls of idle functions go, then blocks that have become empty, then local values that were
    only made for such a call.

    Args:
        statement: a definition.
        idle: tells the functions by their names.
    """
    statement = copy.deepcopy(statement)
    for node in ast.walk(statement):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            node.decorator_list = [one for one in node.decorator_list if not _calls(one, idle)]
        if isinstance(node, ast.FunctionDef):
            _prune_function(node, idle)
    return statement


def _prune_function(function: ast.FunctionDef, idle: Idle) -> None:
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


def _is_idle(statement: ast.stmt, idle: Idle) -> bool:
    return isinstance(statement, ast.Expr) and _calls(statement.value, idle)


def _only_feeds(statement: ast.stmt, names: set[str]) -> bool:
    """It assigns one of these names, which nothing reads any more."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    target = statement.targets[0]
    return isinstance(target, ast.Name) and target.id in names


def _calls(node: ast.expr, idle: Idle) -> bool:
    function = node.func if isinstance(node, ast.Call) else node
    return isinstance(function, ast.Name) and idle(function.id)
