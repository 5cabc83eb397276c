"""What can be reached on a disk: asked without an error where a folder on the way is closed to this user."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False also where that cannot be found out."""
    return os.path.isdir(path)


def is_file(path: Path) -> bool:
    """Whether there is a regular file; False also where that cannot be found out."""
    return os.path.isfile(path)


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where it cannot be listed."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def why_closed(folder: Path) -> str | None:
    """Why nothing can be found out of what is in a folder.

    Returns:
        in words; None where it can be looked into, or where there is no such folder.
    """
    for path in (folder, folder / "images"):
        try:
            path.stat()
        except OSError as error:
            if error.errno not in _NOT_THERE:
                return f"cannot be looked into: {error.strerror}"
        except ValueError:  # a null byte in the path
            return None
    return None


def may_be_folder(path: Path) -> bool:
    """Whether there is a folder, or one may be: who reads it then says why it is closed."""
    return is_folder(path) or why_closed(path) is not None
