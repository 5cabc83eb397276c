"""Write files and folders so that they appear completely or not at all."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

_PART = ".nas-attn-{}.part"
_IS_PART = re.compile(re.escape(_PART).replace(r"\{\}", "[0-9a-f]{16}"))
_ABANDONED_SECONDS = 24 * 3600
"""A part to which nobody has written for this long belongs to a writer that was killed."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary name beside a file. What is written there replaces the file when the block ends without an
    error.

    A reader sees the old file or the new one, never a part. A writer that is killed leaves a hidden part, which is
    deleted by whoever writes in that folder a day later. Folders are written likewise.

    Args:
        path: of the file; its folder must exist. If it is a link, its target is written. For a folder, there must
            be nothing or an empty folder.
    Raises:
        OSError: the path cannot be written; the old file is still there.
    """
    target = path.resolve()
    _clear(target.parent)
    part = target.with_name(_PART.format(secrets.token_hex(8)))
    try:
        yield part
        os.replace(part, target)
    except BaseException:
        _remove(part)
        raise


def is_part(name: str) -> bool:
    """Whether a file of this name is the part of a writer, which is active or was killed."""
    return _IS_PART.fullmatch(name) is not None


@functools.cache  # a process looks once into each folder, for some hold ten thousand masks
def _clear(folder: Path) -> None:
    """Delete what killed writers have left in a folder.

    If one of them is alive after all, it ends with an error, and the file stays as it was.
    """
    oldest = time.time() - _ABANDONED_SECONDS
    with contextlib.suppress(OSError):
        for part in folder.glob(_PART.format("*")):
            if is_part(part.name) and part.lstat().st_mtime < oldest:
                _remove(part)


def _remove(part: Path) -> None:
    # ``os.path``: no error where the folder above is closed
    if os.path.isdir(part) and not os.path.islink(part):
        shutil.rmtree(part, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            part.unlink()
