"""List the studies in ./studies."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nas_attn.cli._say import say
from nas_attn.commands import command
from nas_attn.errors import NasAttnError

if TYPE_CHECKING:
    from rich.table import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A list takes no arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each study; one that cannot be read says so."""
    from nas_attn.cli._console import wide_console
    from nas_attn.study.setup.find import study_names

    names = study_names()
    if not names:
        first = command("search", space="unet_attention", trials=200)
        say(f"no studies yet in studies/; begin one with: {first}")
        return 0
    rows: list[tuple[str, ...]] = []
    problems: list[str] = []
    for name in names:
        try:
            rows.append(_cells(name))
        except NasAttnError as error:
            problems += error.problems
        except (KeyError, TypeError, ValueError) as error:  # of a hand, or of a version, that left something out
            problems.append(f"studies/{name}: is damaged ({type(error).__name__}: {error})")
    console = wide_console()
    if rows:
        console.print(_table(rows))
    for problem in problems:
        console.print(f"cannot be read: {problem}", soft_wrap=True)
    return 0


def _table(rows: list[tuple[str, ...]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("study", "space", "data", "strategy", "cost", "trials", "failed", "plain x100", "best"):
        table.add_column(title, no_wrap=title != "best", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _cells(name: str) -> tuple[str, ...]:
    from nas_attn.analysis import rank
    from nas_attn.record import State
    from nas_attn.study.setup.find import open_study
    from nas_attn.wording.placements import describe

    ledger = open_study(name)
    records, identity = ledger.records(), ledger.identity
    ranking = rank(records, cost=identity["cost"])
    states = [record.state for record in records]
    return (
        name,
        identity["space"]["name"],
        identity["data"],
        identity["strategy"],
        identity["cost"],
        str(states.count(State.COMPLETE)),
        str(states.count(State.FAILED)),
        f"{100 * ranking.plain.iou_mean:.1f}" if ranking.plain else "",
        describe(ranking.rows[0].placement) if ranking.rows else "",
    )
