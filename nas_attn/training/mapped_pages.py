"""How much of mapped files a process holds at once."""

from __future__ import annotations

import mmap
from collections.abc import Sequence

_MOST_BYTES = 2**28


class MappedPages:
    """Lets go of what was read from mapped files, time and again.

    What a process has read of a mapped file counts as its memory until it lets go. It is then still in the
    system's cache of files, as long as there is room, and comes back without a look at the disk.

    Args:
        maps: of the files, which nobody writes to; none where the set is not in files.
        most_bytes: so much may be held.
    """

    def __init__(self, maps: Sequence[mmap.mmap] = (), most_bytes: int = _MOST_BYTES) -> None:
        self._maps = tuple(one for one in maps if hasattr(one, "madvise"))  # not on every system
        self._most, self._held = most_bytes, 0

    def will_read(self, n_bytes: int) -> None:
        """Make room for what is read next."""
        self._held += n_bytes
        if self._held > self._most:
            self._held = n_bytes
            for one in self._maps:
                one.madvise(mmap.MADV_DONTNEED)
