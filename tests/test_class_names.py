"""A class name means one thing in the whole package."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "nas_attn"


def definitions() -> dict[str, list[str]]:
    """The files that define each class, inner classes included."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    return found


def test_no_class_name_is_used_twice() -> None:
    found = definitions()
    assert len(found) > 200
    twice = {name: files for name, files in found.items() if len(files) > 1}
    assert twice == {}
