"""Keep freed memory in the process, so that it need not be requested again at every step."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings (``malloc.h``)."""
_KEPT = 512 * 2**20
"""Bytes at the end of the heap that are not returned to the system."""
_MOST_ON_HEAP = 32 * 2**20
"""Bytes of the largest block that comes from the heap: the most that glibc allows."""


def keep_freed_memory() -> None:
    """Let glibc keep up to 512 MiB of freed memory for the rest of the process; does nothing elsewhere.

    By default glibc returns activations of some megabytes to the system at the end of a step and gets them back,
    cleared page by page, at the next. How often depends on the rest of the heap, so the same network may take up
    to 17 % longer in one measurement than in another.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_TRIM_THRESHOLD, _KEPT)
    library.mallopt(_MMAP_THRESHOLD, _MOST_ON_HEAP)
