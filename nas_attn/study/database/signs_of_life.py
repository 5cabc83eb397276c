"""Signs of life: unique names of processes on any machine, and which of them have become silent."""

from __future__ import annotations

import hashlib
import os
import platform
import time
import uuid
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


def this_process() -> str:
    """A name that no other process has, or ever had, made from machine, process and time of birth.

    For example ``node7:4711:1f0c9a2e:8812345``.
    """
    return f"{platform.node().replace(':', '')[:60]}:{os.getpid()}:{_machine()}:{_birth(os.getpid())}"


def has_ended(name: str) -> bool:
    """Whether the process of that name is known to have ended; False if it runs on another machine.

    Args:
        name: result of ``this_process`` there; further parts may follow.
    """
    parts = name.split(":")
    if len(parts) < 4 or parts[2] != _machine() or not parts[1].isdecimal():
        return False
    return _birth(int(parts[1])) != parts[3]


def _machine() -> str:
    """This machine since its boot, and the namespace of its process ids, because containers have their own."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        told = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        told = f"{platform.node()} {uuid.getnode()}"
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def _birth(pid: int) -> str:
    """When a process was born, in ticks since the boot; ``ended`` if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "" if _lives(pid) else "ended"
    state, *rest = text.rpartition(")")[2].split()
    return "ended" if state in ("Z", "X") else rest[18]


def _lives(pid: int) -> bool:
    """Whether a process is alive, on systems without ``/proc``."""
    if os.name == "nt" or Path("/proc/self").exists():
        return os.name == "nt"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Watch(Generic[Key]):
    """Finds out whose sign of life has not changed for too long.

    The wall clocks of different machines are never compared: the observer measures silence with its own clock, by
    looking repeatedly. Between two looks, at most twice the usual time counts, so that an observer that was
    suspended does not consider all others dead when it resumes.

    Args:
        patience: allowed seconds of silence.
        every: usual seconds between two looks.
        clock: returns seconds and never goes back.
    """

    def __init__(self, patience: float, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._most = 2 * every
        self._clock = clock
        self._looked = clock()
        self._signs: dict[Key, object] = {}
        self._silence: dict[Key, float] = {}

    def look(self, signs: Mapping[Key, object]) -> list[Key]:
        """Keys that have been silent for too long. Keys that are missing from ``signs`` are forgotten.

        Args:
            signs: for each watched key, any value that changes while it is alive.
        """
        now = self._clock()
        passed, self._looked = min(now - self._looked, self._most), now
        self._silence = {
            key: self._silence[key] + passed if key in self._signs and self._signs[key] == sign else 0.0
            for key, sign in signs.items()
        }
        self._signs = dict(signs)
        return [key for key, silence in self._silence.items() if silence >= self._patience]
