"""Progress for people who wait: steps that may take long, and the step count of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

Shown = Callable[[str], AbstractContextManager[None]]

shown_by: list[Shown] = []
"""Each is entered when a step begins and left when it ends."""


@contextmanager
def step(what: str) -> Iterator[None]:
    """Announce a step that may take seconds or more.

    Args:
        what: in words for people, such as ``reading the images``.
    """
    with ExitStack() as stack:
        for shown in tuple(shown_by):
            stack.enter_context(shown(what))
        yield


@dataclass
class StepCount:
    """Optimiser steps of the current run.

    Args:
        taken: so far.
        total: of the run; 0 if none has begun.
    """

    taken: int = 0
    total: int = 0


STEPS = StepCount()
"""Of this process, which trains one network at a time."""
