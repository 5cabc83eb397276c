"""``nas-attn VERB ...``: finds the verb's file, reads its arguments, turns errors into lines and exit codes."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from nas_attn import __version__
from nas_attn.errors import NasAttnError, did_you_mean

VERBS = {
    "search": "search a space: train placements, rank them, export the best",
    "rank": "rank the placements of a study",
    "export": "write an architecture of a study to a file",
    "train": "train an architecture in full",
    "predict": "segment images with a trained architecture",
    "dashboard": "open optuna-dashboard on a study",
    "studies": "list the studies",
    "spaces": "list the search spaces, or show one",
    "attentions": "list the attention kinds, or show one",
    "data": "check a folder of images and masks",
}

USAGE_STATUS = 2
INTERRUPTED_STATUS = 130


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line with the nearest right word."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_STATUS, f"{self.prog}: error: {self._mended(message)}\n")

    def _mended(self, message: str) -> str:
        if unknown := re.match(r"unrecognized arguments: (\S+)", message):
            flag = unknown[1].partition("=")[0]
            flags = [name for name in self._option_string_actions if name.startswith("--")]
            if flag.startswith("-"):
                return f"unknown option '{flag}'; {did_you_mean(flag, flags)}"
            return f"unexpected argument '{flag}'; see {self.prog} --help"
        if invalid := re.match(r"argument (.+?): invalid choice: '(.*?)' \(choose from (.*)\)", message):
            known = [choice.strip("' ") for choice in invalid[3].split(",")]
            return f"{invalid[1]}: unknown '{invalid[2]}'; {did_you_mean(invalid[2], known)}"
        return f"{message}; see {self.prog} --help"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after ``nas-attn``; those of the process where left out.
    Returns:
        the exit status: 0, 2 for what the user can put right, 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        verb = _verb(words)
        if verb is None:
            return 0
        module = importlib.import_module(f"nas_attn.cli.{verb}")
        parser = OneLineParser(
            prog=f"nas-attn {verb}",
            description=module.__doc__,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(parser)
        status: int = module.run(parser.parse_args(words[1:]))
        return status
    except NasAttnError as error:
        for problem in error.problems:
            print(f"nas-attn: error: {problem}", file=sys.stderr)
        return USAGE_STATUS
    except KeyboardInterrupt:
        print("nas-attn: interrupted", file=sys.stderr)
        return INTERRUPTED_STATUS
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _verb(words: Sequence[str]) -> str | None:
    """The verb that was asked for; None where help or the version was, which is printed here."""
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
        parser.exit(USAGE_STATUS, f"nas-attn: error: unknown verb '{words[0]}'; {did_you_mean(words[0], VERBS)}\n")
    return words[0]
