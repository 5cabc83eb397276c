"""Check that an output can be written before the work starts."""

from __future__ import annotations

import os
from pathlib import Path

from nas_attn.errors import UsageError


def check_writable(output: Path) -> None:
    """Check that a file can be written at a path.

    Raises:
        UsageError: its folder does not exist or is not writable.
    """
    folder = output.parent
    if not folder.is_dir():
        raise UsageError(f"{output}: there is no folder {folder}; create it first")
    _check_open(output, folder)


def check_folder(output: Path) -> None:
    """Check that a folder exists or can be made, and is writable.

    Raises:
        UsageError: it is a file, or a parent folder is not writable.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: is a file; give a folder with -o")
    _check_open(output, next(folder for folder in (output, *output.absolute().parents) if folder.is_dir()))


def _check_open(output: Path, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{output}: nothing can be written in the folder {folder}; name another place")
