"""Runs of a benchmark in a file, a line of JSON each, so that none is trained twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

Run = TypeVar("Run")


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
