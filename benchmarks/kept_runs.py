"""Runs of a benchmark in a file, a line of JSON each, so that none is trained twice."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from nas_attn.errors import NasAttnError

Run = TypeVar("Run")


def keeping_parser(doc: str | None) -> argparse.ArgumentParser:
    """Of a benchmark that keeps its runs.

    Args:
        doc: what it says of itself.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, metavar="FILE", help="where the runs are kept, a line each")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    return parser


def train_and_print(
    asked: argparse.Namespace,
    read: Callable[..., Run],
    train: Callable[[Sequence[Run]], Iterable[Run]],
    table: Callable[[Sequence[Run]], Iterable[str]],
    plain: Callable[[Any], Mapping[str, Any]] = asdict,
) -> int:
    """Train what is not in the file yet, and print the table of all runs; the exit code.

    Args:
        asked: by the parser above.
        read: makes a run of what its line says, given by name.
        train: what is lacking, given the runs that are there.
        table: its lines.
        plain: what a line says of a run.
    """
    out = Path(asked.out)
    try:
        runs = [read(**line) for line in kept(out)]
        if not asked.table:
            runs += keep(out, train(tuple(runs)), plain)
    except NasAttnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in table(runs):
        print(line)
    return 0


def kept(path: Path) -> list[dict[str, Any]]:
    """What every line says; nothing where there is no file yet."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def keep(path: Path, runs: Iterable[Run], plain: Callable[[Run], Mapping[str, Any]]) -> Iterator[Run]:
    """Write each run down as soon as it has ended.

    Args:
        path: of the file; further lines are added to it.
        runs: as they end.
        plain: what a line says of a run.
    """
    for run in runs:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain(run)) + "\n")
        yield run
