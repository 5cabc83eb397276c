"""What is under way, for whoever waits: steps that may take long, and how far a training is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

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


@dataclass
class StepCount:
    """Optimiser steps of the run that is under way.

    Args:
        taken: so far.
        total: of the run; 0 where none has begun.
    """

    taken: int = 0
    total: int = 0


STEPS = StepCount()
"""Of this process, which trains one network at a time."""
