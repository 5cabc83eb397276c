"""Commands print in one place, where names of others are made harmless and no output ends in a traceback."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import nas_attn

PACKAGE = Path(nas_attn.__file__).parent
FILES = sorted((PACKAGE / "cli").glob("*.py"))
COPIED = PACKAGE / "export" / "script" / "loop.py"
"""It is copied into scripts of others, and printing is its business there."""
MAKERS = {"_console.py", "_stream.py"}


def calls(path: Path) -> set[str]:
    """The names that a file calls, and the streams that it names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
        if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr"):
            found.add(node.attr)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_command_prints_by_the_console_and_by_say_only(path: Path) -> None:
    assert path.name in MAKERS or not calls(path) & {"print", "Console", "stdout", "stderr"}


def test_nothing_below_the_commands_prints() -> None:
    below = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "cli" and path != COPIED]
    assert len(below) > 200
    assert [str(path) for path in below if "print" in calls(path)] == []
