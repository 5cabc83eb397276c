"""Plain lines, for people and for programs that read on; it takes no rich to print one."""

from __future__ import annotations

from nas_attn.cli._stream import STDERR, STDOUT
from nas_attn.printable import harmless


def say(text: str, *, end: str = "\n") -> None:
    """Print a text at once.

    Args:
        text: of one line or several; what would steer a terminal is escaped.
        end: what follows it.
    Raises:
        OutputError: it cannot be written.
    """
    STDOUT.write(harmless(text) + end)
    STDOUT.flush()


def complain(line: str) -> None:
    """Print an error, in one line whatever it quotes."""
    STDERR.write(harmless(line).replace("\n", "\\n") + "\n")
    STDERR.flush()
