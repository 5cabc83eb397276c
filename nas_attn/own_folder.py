"""Folders that nas-attn made itself, known by a file in them: in no others is anything ever deleted."""

from __future__ import annotations

import shutil
from pathlib import Path

from nas_attn.errors import StudyError
from nas_attn.whole_file import is_part, whole_file

MARK = "CACHEDIR.TAG"
"""Programs that make backups leave a folder out that holds such a file (https://bford.info/cachedir)."""
_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder was made by nas-attn, which deletes and recreates files in it. Do not keep files of your "
    "own here.\n"
)


def own_folder(folder: Path, *, known: bool = False) -> None:
    """Make a folder and mark it as ours; one that bears the mark already stays as it is.

    Args:
        folder: to make.
        known: whether its files are ours for certain, though it may lack the mark.
    Raises:
        StudyError: a folder without the mark holds files, which are not ours.
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
    """Whether a folder bears the mark."""
    try:
        return (folder / MARK).read_bytes() == _TEXT.encode()
    except OSError:
        return False


def remove_from(folder: Path, name: str, home: Path) -> None:
    """Delete a folder in one of ours.

    Args:
        folder: one without the mark keeps all that it holds.
        name: of the folder in it; a link stays, and what it names.
        home: what does not lie below it, all links resolved, stays likewise.
    """
    path = folder / name
    if is_own(folder) and not path.is_symlink() and path.resolve().is_relative_to(home.resolve()):
        shutil.rmtree(path, ignore_errors=True)
