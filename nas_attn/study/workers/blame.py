"""Whose failure an error is: that of the placement, or that of the machine on which it was to be trained."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.errors import DataError, MachineError, MissingPackageError, StudyError
from nas_attn.record import Failure

DATA, DISK, SOFTWARE, DEVICE = "data", "disk", "software", "device"
"""Of the machine, what a failure's cause may be."""
CRASH = "crash"
"""A device gave up within a computation: its process is of no use any more. Who is to blame is not known yet."""
_MOST_FAULTS = 5
_GONE = (
    "no CUDA-capable device",
    "No CUDA GPUs are available",
    "NVIDIA driver",
    "CUDA driver",
    "driver shutting down",
    "busy or unavailable",
    "invalid device ordinal",
    "uncorrectable",
    "device is lost",
    "hardware stack error",
    "system not yet initialized",
    "CUDA unknown error",
    "CUDA error: unknown error",
    "CUDA error: initialization error",
)
"""Of errors that no computation brings about."""
_CRASHED = ("CUDA error:", "HIP error:", "STATUS_EXECUTION_FAILED", "STATUS_INTERNAL_ERROR")
"""Of errors after which every further call fails, whatever it is."""


def cause_of(error: BaseException) -> str | None:
    """What an error other than a shortage of memory comes from.

    Returns:
        one of the causes above; None where it is the placement's own.
    """
    if isinstance(error, (ImportError, MissingPackageError)):
        return SOFTWARE
    if isinstance(error, (DataError, MachineError, EOFError)):
        return DATA
    if isinstance(error, OSError):
        return DISK
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if any(sign in text for sign in _GONE):
        return DEVICE
    return CRASH if any(sign in text for sign in _CRASHED) else None


def stop_if_out_of_order(number: int, faults: Sequence[Failure]) -> None:
    """End the search where an evaluation fails for the second time in a row for the same cause of the machine.

    What fails so is no trial: it stays under way, and is begun anew with the next search.

    Args:
        number: of the trial.
        faults: all failures of its evaluation that were not its own, the latest last.
    Raises:
        StudyError: it makes no sense to go on.
    """
    last = faults[-1]
    if len(faults) < _MOST_FAULTS and [fault.cause for fault in faults[-2:]] != [last.cause] * 2:
        return
    raise StudyError(
        f"trial {number} has failed {len(faults)} times, and its placement is not to blame, but the {last.cause} "
        f"here: {last.reason}; it does not count: put that right, and the same command goes on"
    )
