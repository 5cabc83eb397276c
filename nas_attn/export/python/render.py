"""A definition as text: the lines of its source, less what was pruned, with short docstrings and other names."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping, Sequence

from nas_attn.export.python.names import free_names


def rendered(
    lines: Sequence[str], original: ast.stmt, pruned: ast.stmt, names: Mapping[str, str], own_name: str
) -> str:
    """The text of a definition.

    Args:
        lines: of its module, with their ends.
        original: the definition as it stands there.
        pruned: what shall be left of it.
        names: what each name in it that means something of ours is called in the text.
        own_name: what it is called itself.
    """
    kept = {number: lines[number - 1] for number in range(_first(lines, pruned), (pruned.end_lineno or 0) + 1)}
    _rename(kept, pruned, {name: other for name, other in names.items() if name != other})
    _rename_definition(kept, pruned, own_name)
    for start, end in _spans(original) - _spans(pruned):
        _remove(kept, start, end)
    for owner in ast.walk(pruned):
        if isinstance(owner, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(owner) is not None:
            _shorten(kept, owner.body[0])
    return "".join(kept[number] for number in sorted(kept))


def is_constant(statement: ast.stmt) -> bool:
    """Neither a class nor a function."""
    return not isinstance(statement, ast.ClassDef | ast.FunctionDef)


def _first(lines: Sequence[str], statement: ast.stmt) -> int:
    """The first line of a definition: that of its decorators, and of the comment above."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    return first


def _spans(statement: ast.stmt) -> set[tuple[int, int]]:
    """First and last line of every statement in it."""
    inner = [node for node in ast.walk(statement) if isinstance(node, ast.stmt) and node is not statement]
    return {(node.lineno, node.end_lineno or node.lineno) for node in inner}


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
        for number in range(string.lineno, (string.end_lineno or string.lineno) + 1):
            for name, other in names.items():
                kept[number] = re.sub(rf"(?<=[{{(]){name}\b", other, kept[number])


def _rename_definition(kept: dict[int, str], statement: ast.stmt, name: str) -> None:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        pattern = rf"^(class|def) {statement.name}\b"
        kept[statement.lineno] = re.sub(pattern, rf"\1 {name}", kept[statement.lineno])
    else:
        kept[statement.lineno] = re.sub(r"^\w+", name, kept[statement.lineno])


def _shorten(kept: dict[int, str], docstring: ast.stmt) -> None:
    """Leave of a docstring what the thing does, by which equation, and between which shapes."""
    start, end = docstring.lineno, docstring.end_lineno or docstring.lineno
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
