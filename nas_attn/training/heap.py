"""Memory that is freed stays with the process, so that it need not be asked for again at every step."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings (``malloc.h``)."""
_KEPT = 512 * 2**20
"""Bytes at the end of the heap that are not given back."""
_MOST_ON_HEAP = 32 * 2**20
"""Bytes of the largest block that comes from the heap: the most that glibc takes."""


def keep_freed_memory() -> None:
    """Let glibc keep up to 512 MiB of what is freed for the rest of the process; elsewhere nothing changes.

    By itself it gives activations of some megabytes back to the system at the end of a step and gets them again,
    cleared page by page, at the next. How often depends on what else lies on the heap, so the same network may
    take up to 17 % longer in one measurement than in another.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_TRIM_THRESHOLD, _KEPT)
    library.mallopt(_MMAP_THRESHOLD, _MOST_ON_HEAP)
