"""Bring back a study whose database was deleted, replaced or damaged while it was searched.

nas-attn import studies/nuclei/rescued-20261128T120000Z-4711.json

A search that notices this stops and writes all of its trials into such a file. Move away what is left of the old
database (study.db, study.db-wal, study.db-shm), or restore an older copy. After the import, the same nas-attn
search continues.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nas_attn.cli._flags import JOINING, add_settings
from nas_attn.commands import command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("file", metavar="FILE", type=Path, help="written by the search when it lost its database")
    parser.add_argument("--study", metavar="NAME", help="new name of the study [its old name]")
    add_settings(parser, ("storage",), defaults=JOINING)


def run(arguments: argparse.Namespace) -> int:
    """Write the study, and say what is in it."""
    from nas_attn.cli._stream import say
    from nas_attn.study.setup.rescue import import_study

    done = import_study(arguments.file, arguments.study, arguments.storage)
    say(
        f"study '{done.study}' in {done.storage}: {done.n_trials} trials, {done.n_new} of them from "
        f"{arguments.file}; the same '{command('search')}' goes on with it"
    )
    return 0
