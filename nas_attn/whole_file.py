"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A new name beside a file to write under; what stands there takes the file's place when the block ends well.

    A reader sees the old file or the new one, never a part of it. Only a writer that is killed leaves its part
    behind, hidden and under a name that nobody uses again.

    Args:
        path: of the file; its folder must exist. A link stays one: what it names is written.
    Raises:
        OSError: the path cannot be written; the old file is still there.
    """
    target = path.resolve()
    part = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        yield part
        os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
