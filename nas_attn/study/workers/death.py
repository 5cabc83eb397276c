"""Why a worker process ended, and whether its evaluation is to blame."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_attn.record import Failure, OutOfMemory

_OWN_DEATHS = 2
"""So many times an evaluation may end its worker by itself, until it is repeated alone."""
_ALL_DEATHS = 10
"""So many workers may be killed from outside during one evaluation, until it is repeated alone."""
_KILLS_ALONE = 3
"""So many workers may be killed from outside during one evaluation that runs alone, until it is given up."""
_FROM_OUTSIDE = (-signal.SIGTERM, -getattr(signal, "SIGKILL", signal.SIGTERM))


@dataclass(frozen=True)
class Death:
    """The end of a worker process in the middle of an evaluation.

    Args:
        how: in words, such as ``signal 11 (SIGSEGV)``.
        own: whether the evaluation has brought it about, as far as can be known; a crash has, a kill has not.
        out_of_memory: whether it was for want of memory.
        alone: whether no other evaluation ran beside it in the same pool.
    """

    how: str
    own: bool
    out_of_memory: bool = False
    alone: bool = False


def death_of(status: int | None, *, out_of_memory: bool) -> Death:
    """What an exit status tells.

    Args:
        status: of the process; negative for a signal, None where it is not known.
        out_of_memory: whether the kernel has killed a process for want of memory meanwhile.
    """
    if status is None or status >= 0:
        return Death("an unknown cause" if status is None else f"exit status {status}", own=True)
    name = f"signal {-status} ({signal.Signals(-status).name})"
    if status in _FROM_OUTSIDE and out_of_memory:
        return Death(f"{name}: the machine is out of memory", own=True, out_of_memory=True)
    return Death(name, own=status not in _FROM_OUTSIDE)


def needs_solitude(deaths: Sequence[Death]) -> bool:
    """Whether it has to be seen if an evaluation that had these deaths also ends its worker when it runs alone.

    A worker may crash since somebody else has taken the memory, or sent it a signal. Only what happens again
    without neighbours is held against the placement, and decides what is proposed later.
    """
    return sum(death.own for death in deaths) >= _OWN_DEATHS or len(deaths) >= _ALL_DEATHS


def hopeless(deaths: Sequence[Death]) -> Failure | None:
    """Why an evaluation is given up after these deaths of its workers; None where it is tried again."""
    alone = [death for death in deaths if death.alone]
    if not any(death.own for death in alone) and len(alone) < _KILLS_ALONE:
        return None
    reason = f"its worker ended {len(deaths)} times, the last time, when it ran alone, by {deaths[-1].how}"
    own = [death for death in deaths if death.own]
    return Failure(reason, OutOfMemory() if own and all(death.out_of_memory for death in own) else None)


def n_memory_kills() -> int:
    """How many processes the kernel has killed for want of memory so far, in the machine and in this container.

    Only whether the number grows says something; 0 where it is not known.
    """
    return sum(map(_oom_kills, ("/proc/vmstat", "/sys/fs/cgroup/memory.events")))


def _oom_kills(path: str) -> int:
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
