"""Sealed folders: sizes and hashes of their files show whether a file has changed since it was written."""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from nas_attn.errors import MachineError

_SEAL = "seal.json"


def seal(folder: Path) -> None:
    """Write the size and the hash of every file of a folder into a file beside them."""
    known = {path.name: [path.stat().st_size, _hash(path)] for path in sorted(folder.iterdir())}
    (folder / _SEAL).write_text(json.dumps(known), encoding="utf-8")


def broken_seal(folder: Path) -> str | None:
    """What is wrong with the files of a folder; None if they are as they were sealed.

    Sizes are checked first, so a file that was cut short is found without reading it.
    """
    try:
        known = json.loads((folder / _SEAL).read_text(encoding="utf-8"))
        for name, (size, _) in known.items():
            if (found := (folder / name).stat().st_size) != size:
                return f"{folder / name}: has {found} bytes and was written with {size}"
        for name, (_, digest) in known.items():
            if _hash(folder / name) != digest:
                return f"{folder / name}: its content is not what was written"
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    except (ValueError, TypeError, AttributeError, RecursionError):
        return f"{folder / _SEAL}: is not what was written"
    return None


def check_seal(folder: Path) -> None:
    """Raise if a sealed folder has changed.

    Raises:
        MachineError: a file is missing, cannot be read, was cut short or changed.
    """
    if problem := broken_seal(folder):
        raise MachineError(f"the decoded images are damaged: {problem}")


class Stamp:
    """Sizes and times of files when they were opened, to detect changes to files that are mapped into memory.

    The files stay open: a file that was removed or replaced is still intact for its readers, so that is no change.

    Args:
        folder: all files of the sealed folders in it.
    """

    def __init__(self, folder: Path) -> None:
        paths = [path for seal_ in folder.glob(f"*/{_SEAL}") for path in sorted(seal_.parent.iterdir())]
        self._files = {os.open(path, os.O_RDONLY): path for path in paths}
        self._before = {file: _facts(file) for file in self._files}
        weakref.finalize(self, _close, list(self._files))

    def check(self) -> None:
        """Raise if a file was changed in place.

        Raises:
            MachineError: the file has another size, or was written to.
        """
        for file, path in self._files.items():
            if _facts(file) != self._before[file]:
                raise MachineError(f"the decoded images were changed while they were used: {path}")


def _facts(file: int) -> tuple[int, int]:
    found = os.fstat(file)
    return found.st_size, found.st_mtime_ns


def _close(files: Sequence[int]) -> None:
    for file in files:
        os.close(file)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
