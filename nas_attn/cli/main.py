"""``nas-attn VERB ...``: find the verb's file, read its arguments, and turn errors into lines and exit codes."""

from __future__ import annotations

import argparse
import errno
import importlib
import itertools
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from nas_attn import __version__
from nas_attn.cli._stream import STDERR, STDOUT, OutputError, complain, waiting
from nas_attn.commands import command
from nas_attn.errors import NasAttnError, did_you_mean
from nas_attn.reference import listeners
from nas_attn.steps import shown_by, step

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

VERBS = {
    "search": "search a space: train placements, rank them, export the best",
    "worker": "join a study from another process or machine",
    "retry": "repeat trials that failed because of the machine, not their placement",
    "import": "bring back a study whose database was lost",
    "verdict": "the answer of a study: better, equivalent or undecided",
    "rank": "rank the placements of a study",
    "latency": "time the leading placements of a study together",
    "effects": "what each attention adds at each location of a study",
    "verify": "run the winner again with fresh seeds, on the test data",
    "report": "write a report of a study as one page",
    "export": "write an architecture of a study to a file",
    "train": "train an architecture in full",
    "predict": "segment images with a trained architecture",
    "dashboard": "open optuna-dashboard on a study",
    "studies": "list the studies",
    "spaces": "list the search spaces, or show one",
    "network": "show where attention may stand in a network of your own",
    "attentions": "list the attention kinds, or show one",
    "data": "check a folder of images and masks",
    "completion": "print a script that completes commands in your shell",
}

USAGE_STATUS = 2
INTERRUPTED_STATUS = 130

_OF_THE_MACHINE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG, errno.ELOOP),
}
"""Errors of the system that are no bug in this program: a closed folder, a full disk, a broken one."""

_NUMBERS = {"int": "a whole number", "float": "a number"}


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line each, with the nearest valid word."""

    _words: Sequence[str] = ()

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Like ``parse_args``, but report unknown options in addition to the first other mistake."""
        self._words = words
        return self.parse_args(words)

    def error(self, message: str) -> NoReturn:
        lines = dict.fromkeys([*self._mended(message), *self._unknown_options(self._words)])
        for line in lines:
            complain(f"{self.prog}: error: {line}")
        self.exit(USAGE_STATUS)

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Print help and version; argparse itself would ignore a full disk."""
        STDOUT.write(message)
        STDOUT.flush()

    def _mended(self, message: str) -> list[str]:
        if unknown := re.match(r"unrecognized arguments: (.*)", message, re.DOTALL):
            return self._unknown(unknown[1].split() or [""])
        if choice := re.match(r"argument (.+?): invalid choice: '(.*?)' \(choose from (.*)\)", message):
            known = [name.strip("' ") for name in choice[3].split(",")]
            return [f"{choice[1]}: unknown '{choice[2]}'; {did_you_mean(choice[2], known)}"]
        if number := re.match(r"argument (.+?): invalid (int|float) value: (.*)", message):
            return [f"{number[1]}: {number[3]} must be {_NUMBERS[number[2]]}"]
        if lonely := re.match(r"argument (.+?): expected (one|at least one) argument", message):
            return [f"{lonely[1]}: its value is missing; see {self.prog} --help"]
        return [f"{message}; see {self.prog} --help"]

    def _unknown(self, words: Sequence[str]) -> list[str]:
        """One line for each unknown option; the word after it is taken as its value."""
        unknown = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not unknown:
            return [f"unexpected argument '{words[0]}'; see {self.prog} --help"]
        flags = [name for name in self._option_string_actions if name.startswith("--")]
        return [f"unknown option '{flag}'; {did_you_mean(flag, flags)}" for flag in unknown]

    def _unknown_options(self, words: Sequence[str]) -> list[str]:
        options = itertools.takewhile(lambda word: word != "--", words)
        names = [word.partition("=")[0] for word in options if word.startswith("--")]
        unknown = [name for name in names if name not in self._option_string_actions]
        return self._unknown(unknown) if unknown else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after ``nas-attn``; the default is those of the process.
    Returns:
        the exit status: 0, 2 for problems that the user can fix, 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if _tell not in listeners:
        listeners.append(_tell)
    if waiting not in shown_by:
        shown_by.append(waiting)
    try:
        verb = _verb(words)
        if verb is None:
            return 0
        module, parsed = _module(verb), parser_of(verb).parse(words[1:])
        with step("loading packages"):
            status: int = module.run(parsed)
        STDOUT.flush()
        return status
    except NasAttnError as error:
        _complain(*(f"error: {problem}" for problem in error.problems))
        if isinstance(error, OutputError):
            STDOUT.abandon()
        return USAGE_STATUS
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED_STATUS
    except BrokenPipeError:
        STDOUT.abandon()
        return 0
    except OSError as error:
        told = machine_problem(error)
        if told is None:
            raise
        _complain(f"error: {told}")
        return USAGE_STATUS


def parser_of(verb: str) -> OneLineParser:
    """The parser of the arguments after a verb."""
    module = _module(verb)
    parser = OneLineParser(
        prog=command(verb),
        description=module.__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return parser


def _module(verb: str) -> Any:
    """The file of a verb, with ``add_arguments`` and ``run``."""
    return importlib.import_module(f"nas_attn.cli.{verb}")


def machine_problem(error: OSError) -> str | None:
    """A system error as a line, with the file and what is wrong; None for other errors, which are bugs."""
    if error.errno not in _OF_THE_MACHINE:
        return None
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or error}"


def _tell(words: str) -> None:
    """Name each module that is imported because a file or a command names it, since this runs its code."""
    complain(f"nas-attn: {words}")


def _complain(*lines: str) -> None:
    """Print what went wrong. If even that is impossible, only the exit status says so."""
    try:
        for line in lines:
            complain(f"nas-attn: {line}")
    except (OutputError, BrokenPipeError):
        STDERR.abandon()


def _verb(words: Sequence[str]) -> str | None:
    """The verb; None if help or the version was asked for, which is printed here."""
    parser = OneLineParser(
        prog="nas-attn",
        description="Which attention module belongs where in your U-Net, and is it worth its cost?",
        epilog="verbs:\n"
        + "".join(f"  {name:<12}{about}\n" for name, about in VERBS.items())
        + "\n'nas-attn VERB --help' explains one of them.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="nas-attn VERB ...",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nas-attn {__version__}")
    if not words:
        parser.print_help()
        return None
    if words[0].startswith("-"):
        parser.parse_args(words[:1])
        return None
    if words[0] not in VERBS:
        complain(f"nas-attn: error: unknown verb '{words[0]}'; {did_you_mean(words[0], VERBS)}")
        parser.exit(USAGE_STATUS)
    return words[0]
