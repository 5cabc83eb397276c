"""Globs below a folder, with what stands for their wildcards."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from nas_attn.data.reach import is_folder, names_in

_MOST_WILDCARDS = 4
"""In one part of a glob: more could be tried in very many ways."""


def matches(folder: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    """What a glob names, in the order of the paths, each with the text in the place of its wildcards.

    ``*/images`` finds ``ID/images`` for ``ID``. ``**`` stands for any number of folders; hidden ones are left out.

    Args:
        folder: where to begin.
        pattern: with ``/`` between its parts.
    """
    for path, texts in _below(folder, Path(), tuple(pattern.split("/")), frozenset()):
        yield path, "/".join(text for text in texts if text)


def glob_problem(pattern: str) -> str | None:
    """What is wrong with a glob, in words; None where it can be used."""
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
    """Of one part of a glob; each wildcard is a group."""
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
