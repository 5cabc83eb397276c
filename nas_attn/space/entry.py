"""Values of a file that know their line, and the problems found in them."""

from __future__ import annotations

from dataclasses import dataclass

from nas_attn.errors import SpaceError

MAX_PROBLEMS = 40
MAX_LENGTH = 400

Scalar = None | bool | int | float | str


@dataclass(frozen=True)
class Entry:
    """One value of a document.

    Args:
        path: the fields that lead to it, joined by dots; empty for the document itself.
        line: where it starts, from 1.
        value: a scalar, a tuple of entries, or a dict of entries.
        is_broken: a problem of the value is already known, so that no other is worth telling; it is None then.
    """

    path: str
    line: int
    value: Scalar | tuple[Entry, ...] | dict[str, Entry]
    is_broken: bool = False

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single word or number."""
        return not isinstance(self.value, (tuple, dict))

    @property
    def shown(self) -> str:
        """The value in a few words, for errors."""
        if isinstance(self.value, (tuple, dict)):
            return "a list" if isinstance(self.value, tuple) else "a mapping"
        words = {None: "an empty value", True: "true", False: "false"}
        return words[self.value] if self.value is None or isinstance(self.value, bool) else shown(self.value)


class Problems:
    """Collects what is wrong with one file, to say it all at once and from top to bottom.

    Args:
        where: the file, as its reader knows it.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._found: list[tuple[int, str]] = []
        self._count = 0

    def add(self, entry: Entry, problem: str) -> None:
        """Something is wrong with a value; told unless something worse already was."""
        self._count += 1
        if not entry.is_broken:
            self.add_at(entry.line, f"{entry.path}: {problem}" if entry.path else problem)

    def add_at(self, line: int, problem: str) -> None:
        """Something is wrong at a line; 0 stands for no line of the file."""
        self._count += 1
        place = f"line {line}: " if line else ""
        self._found.append((line, f"{self._where}: {place}{_one_line(problem)}"))

    def __len__(self) -> int:
        """Grows with everything that was added."""
        return self._count

    def raise_if_any(self) -> None:
        """Raise all problems as one error.

        Raises:
            SpaceError: there are any; the first forty of them are told.
        """
        if not self._found:
            return
        lines = list(dict.fromkeys(line for _, line in sorted(self._found, key=lambda found: found[0])))
        rest = len(lines) - MAX_PROBLEMS
        more = [f"{self._where}: and {rest} more problems"] if rest > 0 else []
        raise SpaceError(lines[:MAX_PROBLEMS] + more)


def shown(value: object) -> str:
    """A value as an error quotes it: printable and short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"


def _one_line(problem: str) -> str:
    """A problem that a terminal can show, whatever names and values of the file it quotes."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in problem[:MAX_LENGTH])
    return text if len(problem) <= MAX_LENGTH else f"{text}..."
