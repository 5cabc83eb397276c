"""Write files that a user named, completely or not at all; an error says why."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from nas_attn.errors import ExportError
from nas_attn.whole_file import whole_file


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside a file, as in ``whole_file``.

    Args:
        path: of the file; its folder must exist.
    Raises:
        ExportError: the path cannot be written.
    """
    try:
        _check(path.resolve(), path)
        with whole_file(path) as part:
            yield part
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ExportError(f"{path}: cannot be written: {reason}") from None


def write_text(path: Path, text: str) -> None:
    """Write a text file, with the same line ends on every system.

    Raises:
        ExportError: the path cannot be written.
    """
    with replacing(path) as part, part.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _check(target: Path, path: Path) -> None:
    if target.is_dir():
        raise ExportError(f"{path}: this is a folder; name a file in it, such as {path / 'best.yaml'}")
    if target.exists() and not target.is_file():
        raise ExportError(f"{path}: this is not a regular file; name a file such as best.yaml")
    if not target.parent.is_dir():
        raise ExportError(f"{path}: there is no folder {path.parent}; create it first")
