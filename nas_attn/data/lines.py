"""Where the fields of a YAML file are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import yaml

from nas_attn.printable import printable


@dataclass(frozen=True)
class Lines:
    """The lines of a file's fields.

    Args:
        source: name of the file; empty where there is none.
        numbers: from the names of a field and of what it holds to the line; empty where lines are not known.
        repeated: what is written twice, a problem in words each: a reader of YAML silently keeps the last.
    """

    source: str = ""
    numbers: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    repeated: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: str, text: str, fields: tuple[str, ...]) -> Lines:
        """The lines of all fields, and of what those named here hold.

        Raises:
            YAMLError: the text is no YAML.
        """
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        numbers: dict[tuple[str, ...], int] = {}
        repeated: list[str] = []
        for name, line, value in _held(root):
            inner = [((name, each), at) for each, at, _ in _held(value)] if name in fields else []
            for path, at in [((name,), line), *inner]:
                if path in numbers:
                    repeated.append(_twice(source, path, numbers[path], at))
                numbers[path] = at
        return cls(source, numbers, tuple(repeated))

    def place(self, *path: str) -> str:
        """``dataset.yaml: line 3``; of the field where what it holds has no line of its own."""
        known = next((self.numbers[path[:end]] for end in (2, 1) if path[:end] in self.numbers), None)
        return self.source if known is None else f"{self.source}: line {known}"


def _twice(source: str, path: tuple[str, ...], first: int, again: int) -> str:
    told = printable(": ".join(path))
    return f"{source}: line {again}: {told} is written twice, first at line {first}; keep one of them"


def _held(node: yaml.Node | None) -> Iterator[tuple[str, int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key.start_mark.line + 1, value
