"""Steps that may take long: whoever sits at the terminal is told of each while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

Shown = Callable[[str], AbstractContextManager[None]]

shown_by: list[Shown] = []
"""Each is entered when a step begins and left when it ends."""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Do something that may take seconds or more.

    Args:
        what: as it is said to people, such as ``reading the images``.
    """
    with ExitStack() as stack:
        for shown in tuple(shown_by):
            stack.enter_context(shown(what))
        yield
