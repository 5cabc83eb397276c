"""Commands of the terminal in messages, quoted for the shell so that they can be copied."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

PROGRAM = "nas-attn"

Flag = str | int | Path | bool | None


def command(verb: str, *words: str | Path, **flags: Flag) -> str:
    """A command to type: ``nas-attn export nuclei --pick first -o first.yaml``.

    Args:
        verb: such as ``export``.
        words: positional arguments, unquoted; those that the user has to fill in are in capitals.
        flags: with their values: True for a flag without a value; None or False leaves it out. A name of one
            letter gets one dash, and underscores become dashes.
    """
    return " ".join([PROGRAM, verb, *(shlex.quote(str(word)) for word in words), *_flags(flags)])


def _flags(flags: dict[str, Flag]) -> Iterator[str]:
    for name, value in flags.items():
        if value is None or value is False:
            continue
        yield f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
        if value is not True:
            yield shlex.quote(str(value))
