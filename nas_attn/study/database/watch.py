"""Who has gone silent, by the observer's own clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Watch(Generic[Key]):
    """Tells whose sign of life has not changed for too long.

    Nobody's wall clock is compared with another's: silence is timed by the observer, who looks again and again.
    Between two looks at most twice the usual time counts, so that an observer that was stopped itself does not
    take everybody else for dead when it wakes.

    Args:
        patience: seconds of silence that are allowed.
        every: seconds that usually pass between two looks.
        clock: seconds, never turned back.
    """

    def __init__(self, patience: float, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._most = 2 * every
        self._clock = clock
        self._looked = clock()
        self._signs: dict[Key, object] = {}
        self._silence: dict[Key, float] = {}

    def look(self, signs: Mapping[Key, object]) -> list[Key]:
        """Those that have been silent for too long; who is not in ``signs`` is forgotten.

        Args:
            signs: of each that is watched now, any value that changes while it lives.
        """
        now = self._clock()
        passed, self._looked = min(now - self._looked, self._most), now
        self._silence = {
            key: self._silence[key] + passed if key in self._signs and self._signs[key] == sign else 0.0
            for key, sign in signs.items()
        }
        self._signs = dict(signs)
        return [key for key, silence in self._silence.items() if silence >= self._patience]
