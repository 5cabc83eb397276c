"""What is wrong with a data set, one line each, in names that are safe to print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from nas_attn.printable import printable

__all__ = ["MOST_OF_A_SORT", "Problem", "Sort", "folded", "printable"]

MOST_OF_A_SORT = 30


class Sort(Enum):
    """What a problem is about; many of one sort are folded."""

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
    """One thing that is wrong.

    Args:
        sort: what it is about.
        line: where, what, and what would be right, in one printable line.
    """

    sort: Sort
    line: str


def folded(problems: Iterable[Problem]) -> tuple[str, ...]:
    """The lines of the problems; of each sort only the first 30, and how many more there are."""
    lines: list[str] = []
    seen: Counter[Sort] = Counter()
    for problem in problems:
        seen[problem.sort] += 1
        if seen[problem.sort] <= MOST_OF_A_SORT:
            lines.append(problem.line)
    lines += [
        f"{sort.value}: and {count - MOST_OF_A_SORT} more like it"
        for sort, count in seen.items()
        if count > MOST_OF_A_SORT
    ]
    return tuple(lines)
