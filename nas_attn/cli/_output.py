"""What is to be written is refused before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path

from nas_attn.errors import UsageError


def check_writable(output: Path) -> None:
    """Whether a file may appear at a path.

    Raises:
        UsageError: its folder does not exist or is closed.
    """
    folder = output.parent
    if not folder.is_dir():
        raise UsageError(f"{output}: there is no folder {folder}; create it first")
    _check_open(output, folder)


def check_folder(output: Path) -> None:
    """Whether a folder is there, or may be made, and may be written into.

    Raises:
        UsageError: it is a file, or a folder on its way is closed.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give a folder with -o")
    _check_open(output, next(folder for folder in (output, *output.absolute().parents) if folder.is_dir()))


def _check_open(output: Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{output}: nothing can be written in the folder {folder}; name another place")
