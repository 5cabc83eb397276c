"""Import statements in the order of ruff and isort."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Import:
    """``from module import name as alias``, or ``import module as alias`` if the name is empty."""

    module: str
    name: str
    alias: str

    def __str__(self) -> str:
        target = self.name or self.module
        known_as = "" if self.alias == target else f" as {self.alias}"
        return f"{target}{known_as}"


def import_lines(imports: Iterable[Import]) -> str:
    """Imports from the future, the standard library, and all others, separated by empty lines; whole modules
    first."""
    sections: list[list[Import]] = [[], [], []]
    for one in set(imports):
        sections[_section_of(one.module.partition(".")[0])].append(one)
    return "\n".join(_section(section) for section in sections if section)


def _section_of(package: str) -> int:
    if package == "__future__":
        return 0
    return 1 if package in sys.stdlib_module_names else 2


def _section(imports: list[Import]) -> str:
    whole = sorted(one for one in imports if not one.name)
    modules = sorted({one.module for one in imports if one.name})
    lines = [f"import {one}\n" for one in whole]
    for module in modules:
        names = sorted((one for one in imports if one.name and one.module == module), key=_member_order)
        lines.append(f"from {module} import {', '.join(map(str, names))}\n")
    return "".join(lines)


def _member_order(one: Import) -> tuple[int, str]:
    """Constants, classes, then functions, as in isort."""
    kind = 0 if one.name.isupper() and len(one.name) > 1 else 1 if one.name[:1].isupper() else 2
    return kind, one.name.casefold()
