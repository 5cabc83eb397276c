"""Problems of a data set, one line each, with names that are safe to print."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from nas_attn.printable import printable

__all__ = ["MOST_OF_A_SORT", "Problem", "Sort", "first_few", "folded", "printable"]

MOST_OF_A_SORT = 30
MOST_ALIKE = 5
_EXAMPLES = 2


class Sort(Enum):
    """The subject of a problem; many problems of one sort are folded."""

    LAYOUT = "layout"
    CLOSED = "permission"
    DECLARATION = "declaration"
    PAIRING = "pairing"
    LINK = "link"
    FILE = "file"
    SIZE = "size"
    CHANNELS = "channels"
    MASK_VALUE = "mask value"
    PALETTE = "palette"
    CLASSES = "classes"
    DUPLICATE = "duplicate"
    SPLIT = "split"


@dataclass(frozen=True)
class Problem:
    """One problem.

    Args:
        sort: its subject.
        line: where it is, what is wrong and what would be right, in one printable line.
    """

    sort: Sort
    line: str


def first_few(names: Sequence[object], most: int) -> str:
    """The first names, safe to print, and the number of the others.

    >>> first_few(["a", "b", "c", "d"], 2)
    'a, b and 2 more'
    """
    shown = ", ".join(map(printable, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def folded(problems: Iterable[Problem]) -> tuple[str, ...]:
    """The lines of the problems: at most two of those that only differ in names and numbers, and at most 30 of a
    sort."""
    lines: list[str] = []
    seen: Counter[Sort] = Counter()
    groups: dict[tuple[Sort, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.sort, _cause(problem.line)), []).append(problem)
    for (sort, _), alike in groups.items():
        few = len(alike) <= MOST_ALIKE
        for problem in alike if few else alike[:_EXAMPLES]:
            seen[sort] += 1
            if seen[sort] <= MOST_OF_A_SORT:
                lines.append(problem.line)
        if not few and seen[sort] <= MOST_OF_A_SORT:
            lines.append(f"{sort.value}: and {len(alike) - _EXAMPLES} more like these two")
    lines += [
        f"{sort.value}: and {count - MOST_OF_A_SORT} more like it"
        for sort, count in seen.items()
        if count > MOST_OF_A_SORT
    ]
    return tuple(lines)


def _cause(line: str) -> str:
    """A line without names of files and numbers, so that equal causes have equal texts."""
    return re.sub(r"'[^']*'|\S*[/.]\w\S*|\d+", "*", line)
