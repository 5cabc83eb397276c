"""Standard output and error as commands write to them, without rich. Letters that a stream cannot take are
replaced."""

from __future__ import annotations

import codecs
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, TextIO, cast

from nas_attn.errors import NasAttnError
from nas_attn.printable import harmless

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
"""Replacements of our own signs in encodings that lack them; all other letters are escaped."""
_TITLES = {"stdout": "standard output", "stderr": "standard error"}
SECONDS = 1.5
"""A step that lasts longer than this is named."""
_under_way: list[str] = []


class OutputError(NasAttnError):
    """The output of a command cannot be written."""


class Output:
    """A stream of this process. It is looked up at each write, because it may be replaced in the meantime.

    Args:
        name: of the stream in ``sys``.
    """

    def __init__(self, name: Literal["stdout", "stderr"]) -> None:
        self._name = name
        self.n_written = 0
        """Number of writes so far."""

    @property
    def encoding(self) -> str:
        """Encoding of the stream; a stream in memory takes every letter."""
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
        """Write what is buffered.

        Raises:
            OutputError: the disk is full, or the like.
        """
        if self._stream is not None:
            with self._clear_errors():
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """File descriptor of the stream."""
        if self._stream is None:
            raise OSError(f"sys.{self._name} is closed")
        return self._stream.fileno()

    def abandon(self) -> None:
        """Discard what is buffered, so that the interpreter does not try to write it again at exit."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)

    def as_file(self) -> TextIO:
        """This output as a text file, for code that only writes to it."""
        return cast(TextIO, self)

    @property
    def _stream(self) -> TextIO | None:
        """The stream; None if whoever started the process has closed it.

        During a live display, rich replaces the stream by one that writes to the console, which writes here.
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


def say(text: str, *, end: str = "\n") -> None:
    """Print a text at once.

    Args:
        text: of one or several lines; control characters are escaped.
        end: what follows it.
    Raises:
        OutputError: it cannot be written.
    """
    STDOUT.write(harmless(text) + end)
    STDOUT.flush()


def complain(line: str) -> None:
    """Print an error in one line, whatever it quotes."""
    STDERR.write(harmless(line).replace("\n", "\\n") + "\n")
    STDERR.flush()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Name a step once it has lasted a while, unless something else was printed in the meantime."""
    if not STDERR.isatty():
        yield
        return
    before = _written()
    timer = threading.Timer(SECONDS, lambda: _tell(what, before))
    timer.daemon = True
    _under_way.append(what)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _under_way.pop()


def _tell(what: str, before: int) -> None:
    """Name the step, unless a step within it has printed something."""
    if _written() == before and _under_way[-1:] == [what]:
        STDERR.write(harmless(f"{what} ...") + "\n")
        STDERR.flush()


def _written() -> int:
    return STDOUT.n_written + STDERR.n_written
