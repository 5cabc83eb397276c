"""Access files and globs without errors if a folder on the way cannot be accessed."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

_MOST_WILDCARDS = 4
"""Maximum in one part of a glob, because more could match in very many ways."""


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False also if that cannot be determined."""
    return os.path.isdir(path)


def is_file(path: Path) -> bool:
    """Whether there is a regular file; False also if that cannot be determined."""
    return os.path.isfile(path)


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; empty if it cannot be listed."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def folders_in(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted, without links; empty if it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def why_closed(folder: Path) -> str | None:
    """Why the content of a folder cannot be determined.

    Returns:
        in words; None if it can be listed, or if there is no such folder.
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
    """Whether there is a folder, or may be one. Whoever reads it then reports why it cannot be accessed."""
    return is_folder(path) or why_closed(path) is not None


def matches(folder: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    """The paths that a glob matches, sorted, each with the text that its wildcards match.

    ``*/images`` finds ``ID/images`` for ``ID``. ``**`` matches any number of folders, without hidden ones.

    Args:
        folder: where to start.
        pattern: with ``/`` between its parts.
    """
    for path, texts in _below(folder, Path(), tuple(pattern.split("/")), frozenset()):
        yield path, "/".join(text for text in texts if text)


def glob_problem(pattern: str) -> str | None:
    """What is wrong with a glob, in words; None if it is valid."""
    for part in pattern.split("/"):
        if len(re.findall(r"\*+", part)) > _MOST_WILDCARDS:
            return f"has more than {_MOST_WILDCARDS} '*' in one name"
        try:
            _expression(part)
        except re.error:
            return f"has a range of letters that is none: {part}"
    return None


def _below(
    folder: Path, path: Path, parts: tuple[str, ...], above: frozenset[str]
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    if not parts:
        yield path, ()
        return
    part, *rest = parts
    names = [name for name in names_in(folder / path) if not name.startswith(".")]
    if part == "**":
        yield from _below(folder, path, tuple(rest), above)
        real = os.path.realpath(folder / path)
        for name in names:
            if is_folder(folder / path / name) and os.path.realpath(folder / path / name) not in above | {real}:
                for found, texts in _below(folder, path / name, parts, above | {real}):
                    yield found, (name, *texts)
        return
    wanted = _expression(part)
    for name in names:
        if match := wanted.fullmatch(name):
            for found, texts in _below(folder, path / name, tuple(rest), above):
                yield found, (*match.groups(), *texts)


def _expression(part: str) -> re.Pattern[str]:
    """A regular expression for one part of a glob; each wildcard is a group."""
    pieces = re.findall(r"\*+|\?|\[[^]]+\]|.", part)
    return re.compile("".join(_piece(piece) for piece in pieces), re.DOTALL)


def _piece(piece: str) -> str:
    if piece.startswith("*"):
        return "(.*)"
    if piece == "?":
        return "(.)"
    if piece.startswith("[") and len(piece) > 2:
        letters = re.sub(r"([\\\[&~|])", r"\\\1", piece[1:-1])
        return f"([{'^' + letters[1:] if letters.startswith('!') else letters}])"
    return re.escape(piece)
