"""Windows of frames: which frames of clips go through a network together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Window:
    """T consecutive frames of a clip.

    Args:
        first: number of its first frame in the set.
        seen: number of its first frames that an earlier window of the clip has already covered.
    """

    first: int
    seen: int = 0


def every_window(lengths: Sequence[int], frames: int) -> tuple[int, ...]:
    """The first frame of each window of T frames that lies within a clip.

    >>> every_window([3, 4], 3)
    (0, 3, 4)

    Args:
        lengths: number of frames of each clip, in the order of the set.
        frames: T.
    """
    return tuple(
        first + offset
        for first, length in zip(_firsts(lengths), lengths, strict=True)
        for offset in range(length - frames + 1)
    )


def covering_windows(lengths: Sequence[int], frames: int) -> tuple[Window, ...]:
    """Windows that cover every frame, one after the other. The last window of a clip ends with the clip.

    >>> covering_windows([5, 3], 3)
    (Window(first=0, seen=0), Window(first=2, seen=1), Window(first=5, seen=0))

    Args:
        lengths: number of frames of each clip, each of at least T.
        frames: T.
    """
    found = []
    for first, length in zip(_firsts(lengths), lengths, strict=True):
        for offset in range(0, length, frames):
            start = min(offset, length - frames)
            found.append(Window(first + start, offset - start))
    return tuple(found)


def clip_numbers(lengths: Sequence[int]) -> tuple[int, ...]:
    """For each frame, the number of its clip.

    >>> clip_numbers([2, 1])
    (0, 0, 1)
    """
    return tuple(number for number, length in enumerate(lengths) for _ in range(length))


def clip_places(lengths: Sequence[int]) -> tuple[range, ...]:
    """For each clip, the numbers of its frames in the set.

    >>> clip_places([2, 1])
    (range(0, 2), range(2, 3))
    """
    return tuple(range(first, first + length) for first, length in zip(_firsts(lengths), lengths, strict=True))


def _firsts(lengths: Sequence[int]) -> list[int]:
    return [0, *accumulate(lengths)][:-1]
