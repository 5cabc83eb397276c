"""Folders that nas-attn has made, marked by a file. Nothing is ever deleted in other folders."""

from __future__ import annotations

import shutil
from pathlib import Path

from nas_attn.errors import StudyError
from nas_attn.whole_file import is_part, whole_file

MARK = "CACHEDIR.TAG"
"""Backup programs skip folders with such a file (https://bford.info/cachedir)."""
_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder was made by nas-attn, which deletes and recreates files in it. Do not keep files of your "
    "own here.\n"
)


def own_folder(folder: Path, *, known: bool = False) -> None:
    """Make a folder and mark it as ours. A folder with the mark stays as it is.

    Args:
        folder: to make.
        known: whether its files are certainly ours, although it may lack the mark.
    Raises:
        StudyError: a folder without the mark has files, which are not ours.
        OSError: it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_own(folder):
        return
    if not known and any(not is_part(path.name) for path in folder.iterdir()):
        raise StudyError(f"{folder}: holds files that nas-attn did not write; move them elsewhere")
    with whole_file(folder / MARK) as part:
        part.write_text(_TEXT, encoding="utf-8")


def is_own(folder: Path) -> bool:
    """Whether a folder has the mark."""
    try:
        return (folder / MARK).read_bytes() == _TEXT.encode()
    except OSError:
        return False


def remove_from(folder: Path, name: str, home: Path) -> None:
    """Delete a folder in one of ours.

    Args:
        folder: to delete from; without the mark, nothing is deleted.
        name: of the folder in it; a link is not deleted, nor is its target.
        home: nothing outside of it is deleted, with all links resolved.
    """
    path = folder / name
    if is_own(folder) and not path.is_symlink() and path.resolve().is_relative_to(home.resolve()):
        shutil.rmtree(path, ignore_errors=True)
