"""Values of a file with their lines, and the problems found in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas_attn.errors import NasAttnError

MAX_PROBLEMS = 40
MAX_LENGTH = 400
_MOST_DIGITS = 30

Scalar = None | bool | int | float | str


@dataclass(frozen=True)
class FileKind:
    """A kind of files: its words in error messages, and its limits.

    Args:
        noun: such as ``a search space``.
        starts: first line of such a file, such as ``version: 1``.
        error: raised for a file with errors.
        example: what to name instead of a folder.
        missing: what to do if there is no such file.
        most_values: maximum number of values.
        most_bytes: maximum size.
        is_typed: whether numbers, true, false and null are distinguished from texts; otherwise every value is a
            text.
    """

    noun: str
    starts: str
    error: type[NasAttnError]
    example: str = "a .yaml file"
    missing: str = ""
    most_values: int = 5000
    most_bytes: int = 256 * 1024
    is_typed: bool = True


@dataclass(frozen=True)
class Entry:
    """One value of a document.

    Args:
        path: the fields that lead to it, joined by dots; empty for the document itself.
        line: where it starts, from 1.
        value: a scalar, a tuple of entries, or a dict of entries.
        is_broken: whether a problem of the value has already been reported, so that others are not; the value is
            then None.
    """

    path: str
    line: int
    value: Scalar | tuple[Entry, ...] | dict[str, Entry]
    is_broken: bool = False

    @classmethod
    def of(cls, plain: object, path: str = "") -> Entry:
        """A value without a line."""
        if isinstance(plain, dict):
            return cls(path, 0, {str(name): cls.of(value, join(path, str(name))) for name, value in plain.items()})
        if isinstance(plain, (list, tuple)):
            return cls(path, 0, tuple(cls.of(value, path) for value in plain))
        return cls(path, 0, plain if plain is None or isinstance(plain, (bool, int, float)) else str(plain))

    @property
    def shown(self) -> str:
        """The value in a few words, for error messages."""
        return shown(self.value)

    @property
    def plain(self) -> Any:
        """The value without its lines: a scalar, a list, or a dict."""
        if isinstance(self.value, dict):
            return {name: entry.plain for name, entry in self.value.items()}
        return [entry.plain for entry in self.value] if isinstance(self.value, tuple) else self.value

    @property
    def fields(self) -> dict[str, Entry]:
        """The content of a mapping; empty for other values."""
        return self.value if isinstance(self.value, dict) else {}


class Problems:
    """Collects the problems of one file, to report them at once, from top to bottom.

    Args:
        where: name of the file in error messages.
        kind: of the file.
    """

    def __init__(self, where: str, kind: FileKind) -> None:
        self.where, self.kind = where, kind
        self._found: list[tuple[int, str]] = []
        self._count = 0

    def add(self, entry: Entry, problem: str) -> None:
        """Add a problem of a value, unless one of it was added before."""
        self._count += 1
        if not entry.is_broken:
            self.add_at(entry.line, f"{entry.path}: {problem}" if entry.path else problem)

    def add_at(self, line: int, problem: str) -> None:
        """Add a problem at a line; 0 if it belongs to no line."""
        self._count += 1
        place = f"line {line}: " if line else ""
        self._found.append((line, f"{self.where}: {place}{_one_line(problem)}"))

    def __len__(self) -> int:
        """Number of problems so far."""
        return self._count

    @property
    def lines(self) -> tuple[str, ...]:
        """The problems from top to bottom, the first forty of them."""
        lines = list(dict.fromkeys(line for _, line in sorted(self._found, key=lambda found: found[0])))
        rest = len(lines) - MAX_PROBLEMS
        more = [f"{self.where}: and {rest} more problems"] if rest > 0 else []
        return (*lines[:MAX_PROBLEMS], *more)

    def raise_if_any(self) -> None:
        """Raise all problems as one error.

        Raises:
            NasAttnError: there are any; of the type that the file's kind gives.
        """
        if self._found:
            raise self.kind.error(self.lines)


def shown(value: object) -> str:
    """A value as error messages quote it: printable and short."""
    if isinstance(value, (list, tuple, dict)):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "an empty value", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) >= 10**_MOST_DIGITS:
        return f"a number of more than {_MOST_DIGITS} digits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"


def join(path: str, name: str) -> str:
    """The path of a field within another one."""
    part = name if len(name) <= 60 and name.isprintable() else shown(name)
    return f"{path}.{part}" if path else part


def _one_line(problem: str) -> str:
    """A problem that is safe for a terminal, whatever names and values of the file it quotes."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in problem[:MAX_LENGTH])
    return text if len(problem) <= MAX_LENGTH else f"{text}..."
