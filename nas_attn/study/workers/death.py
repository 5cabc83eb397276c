"""Why a worker process ended, and whether its evaluation is to blame."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas_attn.record import Failure, Shortage

_OWN_DEATHS = 2
"""So many times an evaluation may end its worker by itself, until it is given up."""
_ALL_DEATHS = 10
"""So many workers may be killed from outside during one evaluation, until it is given up."""
_FROM_OUTSIDE = (-signal.SIGTERM, -getattr(signal, "SIGKILL", signal.SIGTERM))


@dataclass(frozen=True)
class Death:
    """The end of a worker process in the middle of an evaluation.

    Args:
        how: in words, such as ``signal 11 (SIGSEGV)``.
        own: whether the evaluation has brought it about, as far as can be known; a crash has, a kill has not.
        out_of_memory: whether it was for want of memory.
    """

    how: str
    own: bool
    out_of_memory: bool = False


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


def hopeless(deaths: Sequence[Death]) -> Failure | None:
    """Why an evaluation is given up after these deaths of its workers; None where it is tried again."""
    own = [death for death in deaths if death.own]
    if len(own) < _OWN_DEATHS and len(deaths) < _ALL_DEATHS:
        return None
    reason = f"its worker ended {len(deaths)} times, the last time by {deaths[-1].how}"
    return Failure(reason, Shortage() if own and all(death.out_of_memory for death in own) else None)


def n_memory_kills() -> int:
    """How many processes the kernel has killed for want of memory since the machine started; 0 where unknown."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
