"""Why a worker process ended, and whether its evaluation caused it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_attn.record import Failure, OutOfMemory

_OWN_DEATHS = 2
"""Number of times that an evaluation may end its worker itself before it is repeated alone."""
_ALL_DEATHS = 10
"""Number of workers that may be killed from outside during one evaluation before it is repeated alone."""
_KILLS_ALONE = 3
"""Number of workers that may be killed from outside during one evaluation that runs alone, before it is given
up."""
_FROM_OUTSIDE = (-signal.SIGTERM, -getattr(signal, "SIGKILL", signal.SIGTERM))


@dataclass(frozen=True)
class Death:
    """The end of a worker process during an evaluation.

    Args:
        how: in words, such as ``signal 11 (SIGSEGV)``.
        own: whether the evaluation has caused it, as far as can be known; a crash counts, a kill does not.
        out_of_memory: whether memory had run out.
        alone: whether no other evaluation ran in the same pool.
    """

    how: str
    own: bool
    out_of_memory: bool = False
    alone: bool = False


def death_of(status: int | None, *, out_of_memory: bool) -> Death:
    """The death that an exit status describes.

    Args:
        status: of the process; negative for a signal, None if it is not known.
        out_of_memory: whether the kernel has killed a process in the meantime because memory had run out.
    """
    if status is None or status >= 0:
        return Death("an unknown cause" if status is None else f"exit status {status}", own=True)
    name = f"signal {-status} ({signal.Signals(-status).name})"
    if status in _FROM_OUTSIDE and out_of_memory:
        return Death(f"{name}: the machine is out of memory", own=True, out_of_memory=True)
    return Death(name, own=status not in _FROM_OUTSIDE)


def needs_solitude(deaths: Sequence[Death]) -> bool:
    """Whether an evaluation after these deaths has to run alone, to find out if it ends its worker then too.

    A worker may crash because another program used the memory or sent it a signal. Only what happens again without
    other evaluations counts against the placement, and influences later proposals.
    """
    return sum(death.own for death in deaths) >= _OWN_DEATHS or len(deaths) >= _ALL_DEATHS


def hopeless(deaths: Sequence[Death]) -> Failure | None:
    """Why an evaluation is given up after these deaths; None if it is tried again."""
    alone = [death for death in deaths if death.alone]
    if not any(death.own for death in alone) and len(alone) < _KILLS_ALONE:
        return None
    reason = f"its worker ended {len(deaths)} times, the last time, when it ran alone, by {deaths[-1].how}"
    own = [death for death in deaths if death.own]
    return Failure(reason, OutOfMemory() if own and all(death.out_of_memory for death in own) else None)


def n_memory_kills() -> int:
    """Number of processes that the kernel has killed so far for lack of memory, on the machine and in this
    container.

    Only an increase is informative; 0 if it is not known.
    """
    return sum(map(_oom_kills, ("/proc/vmstat", "/sys/fs/cgroup/memory.events")))


def _oom_kills(path: str) -> int:
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
