"""Where the fields of a YAML file are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml


@dataclass(frozen=True)
class Lines:
    """The lines of a file's fields.

    Args:
        source: name of the file; empty where there is none.
        numbers: from the names of a field and of what it holds to the line; empty where lines are not known.
    """

    source: str = ""
    numbers: Mapping[tuple[str, ...], int] = field(default_factory=dict)

    @classmethod
    def of(cls, source: str, text: str, fields: tuple[str, ...]) -> Lines:
        """The lines of all fields, and of what those named here hold.

        Raises:
            YAMLError: the text is no YAML.
        """
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        numbers: dict[tuple[str, ...], int] = {}
        for name, line, value in _held(root):
            numbers[name,] = line
            if name in fields:
                numbers |= {(name, inner): line for inner, line, _ in _held(value)}
        return cls(source, numbers)

    def place(self, *path: str) -> str:
        """``dataset.yaml: line 3``; of the field where what it holds has no line of its own."""
        known = next((self.numbers[path[:end]] for end in (2, 1) if path[:end] in self.numbers), None)
        return self.source if known is None else f"{self.source}: line {known}"


def _held(node: yaml.Node | None) -> Iterator[tuple[str, int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key.start_mark.line + 1, value
