"""Standard output and error as commands write to them: whatever they can take, and one line where they cannot."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, TextIO, cast

from nas_attn.errors import NasAttnError

_PLAIN = {
    "±": "+-",
    "×": "x",
    "²": "^2",
    "·": ".",
    "…": "...",
    "–": "-",
    "─": "-",
    "└": "`",
    "┘": "'",
    "✓": "x",
    "✗": "-",
    **dict(zip("▁▂▃▄▅▆▇█", "_.,-~=+#", strict=True)),
}
"""What is written in place of signs of ours that an encoding lacks; every other letter is escaped."""


_TITLES = {"stdout": "standard output", "stderr": "standard error"}


class OutputError(NasAttnError):
    """What a command says cannot be written."""


class Output:
    """A stream of this process, looked up whenever something is written: it may be exchanged meanwhile.

    Args:
        name: of the stream in ``sys``.
    """

    def __init__(self, name: Literal["stdout", "stderr"]) -> None:
        self._name = name
        self.n_written = 0
        """How often something was written."""

    @property
    def encoding(self) -> str:
        """Of the stream; a stream in memory takes every letter."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write a text, with plain letters for those that the encoding lacks.

        Raises:
            OutputError: the disk is full, or the like.
        """
        self.n_written += 1
        if self._stream is not None:
            with self._clear_errors():
                self._stream.write(_fitting(text, self.encoding))
        return len(text)

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OutputError: likewise.
        """
        if self._stream is not None:
            with self._clear_errors():
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Its number."""
        if self._stream is None:
            raise OSError(f"sys.{self._name} is closed")
        return self._stream.fileno()

    def abandon(self) -> None:
        """Let go what waits, so that the interpreter does not try once more at its end."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)

    def as_file(self) -> TextIO:
        """The same for whoever wants a text file and only writes to it."""
        return cast(TextIO, self)

    @property
    def _stream(self) -> TextIO | None:
        """None where whoever started the process has closed it.

        While rich has a live display, it puts a stand-in in the stream's place, which writes to the console, which
        writes here.
        """
        stream = getattr(sys, self._name)
        return cast("TextIO | None", getattr(stream, "rich_proxied_file", stream))

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"{_TITLES[self._name]}: cannot be written: {error.strerror or error}") from None


def _fitting(text: str, encoding: str) -> str:
    return text.encode(encoding, "nas-attn-plain").decode(encoding)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(letter) or ascii(letter)[1:-1] for letter in letters), error.end


codecs.register_error("nas-attn-plain", _plain)

STDOUT, STDERR = Output("stdout"), Output("stderr")
