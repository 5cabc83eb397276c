"""The filters of warnings under which images are decoded, in whichever threads that happens."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

_LOCK = threading.Lock()
_INSIDE: list[warnings.catch_warnings[None]] = []
"""One entry for each thread inside; the first has set the filters, which belong to the whole process."""


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Silence what decoders say of files that they can read; what looks like a decompression bomb is an error.

    ``catch_warnings`` alone is not safe in threads: the last that leaves would leave its filters behind.
    """
    with _LOCK:
        if not _INSIDE:
            filters = warnings.catch_warnings()
            filters.__enter__()
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        else:
            filters = _INSIDE[0]
        _INSIDE.append(filters)
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE.pop()
            if not _INSIDE:
                filters.__exit__(None, None, None)
