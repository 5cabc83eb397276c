"""Whether the memory of a machine has room for its workers."""

from __future__ import annotations

WORKER_BYTES = 430_000_000
"""What a worker takes before it trains, Python and PyTorch."""
_SHARE = 0.8
"""Of the memory; the rest is for networks, the search and the system."""


def crowded(workers: int, machine_bytes: int | None) -> str | None:
    """Why so many workers are too many, and how many are not.

    Args:
        workers: processes on this machine.
        machine_bytes: memory that they may take together; None where it is not known.
    Returns:
        None where they have room.
    """
    if machine_bytes is None:
        return None
    most = max(1, int(_SHARE * machine_bytes / WORKER_BYTES))
    if workers <= most:
        return None
    return (
        f"{workers} workers take {workers * WORKER_BYTES / 1e9:.1f} GB of memory before they train, "
        f"{WORKER_BYTES / 1e6:.0f} MB each, and this machine has {machine_bytes / 1e9:.1f} GB: it may end them; "
        f"--workers {most} or fewer have room"
    )
