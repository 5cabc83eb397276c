"""Print a script that completes verbs, options and file names in your shell.

  nas-attn completion bash > ~/.local/share/bash-completion/completions/nas-attn
  nas-attn completion zsh > ~/.zfunc/_nas-attn
  nas-attn completion tcsh > ~/.nas-attn.csh

It takes the package shtab: pip install 'nas-attn[completion]'.
"""

from __future__ import annotations

import argparse

from nas_attn.cli._stream import say
from nas_attn.commands import PROGRAM
from nas_attn.errors import UsageError

SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=" | ".join(SHELLS))


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise UsageError("completion needs another package: pip install 'nas-attn[completion]'") from None
    say(shtab.complete(_whole_parser(), arguments.shell))
    return 0


def _whole_parser() -> argparse.ArgumentParser:
    """One parser with all verbs; the command itself loads only one verb."""
    from nas_attn.cli.main import VERBS, parser_of

    parser = argparse.ArgumentParser(prog=PROGRAM)
    verbs = parser.add_subparsers()
    for verb, about in VERBS.items():
        verbs.add_parser(verb, parents=[parser_of(verb)], add_help=False, help=about)
    return parser
