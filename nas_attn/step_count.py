"""How far the training of this process is, for whoever watches it from outside."""

from __future__ import annotations

from dataclasses import dataclass


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
