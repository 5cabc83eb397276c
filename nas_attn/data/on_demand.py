"""Tensors that are made on access and not kept, so that a set need not fit into memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, overload

from torch import Tensor

_MOST_THREADS = 8
"""Each thread holds an image and copies of it, so one thread per core of a large machine would fill its memory."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class OnDemand(Sequence[Tensor]):
    """A sequence that makes its items on each access.

    Args:
        make: returns the item of a number.
        length: number of items.
    """

    make: Callable[[int], Tensor]
    length: int

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, place: int) -> Tensor: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Tensor]: ...

    def __getitem__(self, place: int | slice) -> Tensor | Sequence[Tensor]:
        numbers = range(self.length)[place]
        return self.make(numbers) if isinstance(numbers, int) else picked(self, numbers)


def picked(tensors: Sequence[Tensor], places: Sequence[int]) -> Sequence[Tensor]:
    """Some of the tensors, in the given order, without making any."""
    return OnDemand(partial(_at, tensors, places), len(places))


def joined(one: Sequence[Tensor], other: Sequence[Tensor]) -> Sequence[Tensor]:
    """The tensors of both, one after the other, without making any."""
    return OnDemand(partial(_of_both, one, other), len(one) + len(other))


def n_threads() -> int:
    """Number of images that are decoded in parallel."""
    return min(_MOST_THREADS, os.cpu_count() or 1)


def in_turn(make: Callable[[int], T], number: int) -> Iterator[T]:
    """The results of a function for 0, 1, 2 ..., from threads that are only a few results ahead.

    Args:
        make: called in several threads.
        number: of calls.
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(n_threads()) as pool:
        for place in range(number):
            waiting.append(pool.submit(make, place))
            if len(waiting) > n_threads():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _at(tensors: Sequence[Tensor], places: Sequence[int], number: int) -> Tensor:
    return tensors[places[number]]


def _of_both(one: Sequence[Tensor], other: Sequence[Tensor], number: int) -> Tensor:
    return one[number] if number < len(one) else other[number - len(one)]
