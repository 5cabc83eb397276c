"""List the studies in ./studies.

nas-attn studies
nas-attn studies --json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nas_attn.cli._stream import say
from nas_attn.commands import command
from nas_attn.errors import NasAttnError

if TYPE_CHECKING:
    from rich.table import Table

_Study = dict[str, Any]
"""A study as a row, by the columns of the table."""
_WIDE = 110
"""Width of a terminal, in columns, from which the whole table fits."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("--json", action="store_true", help="a JSON list, one object for each study")


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each study; an unreadable one gets a line that says so."""
    from nas_attn.study.setup.find import study_names

    found: list[_Study] = []
    problems: list[str] = []
    for name in study_names():
        try:
            found.append(_summary(name))
        except NasAttnError as error:
            problems += error.problems
        except (KeyError, TypeError, ValueError) as error:  # of a hand, or of a version, that left something out
            problems.append(f"studies/{name}: is damaged ({type(error).__name__}: {error})")
    if arguments.json:
        say(json.dumps([*found, *({"problem": problem} for problem in problems)], indent=2))
    else:
        _show(found, problems)
    return 0


def _show(found: Sequence[_Study], problems: Sequence[str]) -> None:
    from nas_attn.cli._console import wide_console

    if not found and not problems:
        first = command("search", space="unet_attention", trials=200)
        say(f"no studies in studies/ yet; start one with: {first}")
        return
    console = wide_console()
    if found:
        console.print(_table(found, wide=console.width >= _WIDE))
    for problem in problems:
        console.print(f"cannot be read: {problem}", soft_wrap=True)


def _table(found: Sequence[_Study], *, wide: bool) -> Table:
    """The table with all columns, or with those that fit a narrow terminal."""
    from nas_attn.reporting.terminal.tables import slim_table

    table = slim_table()
    names = ["study", "space", "data", "strategy", "cost", "trials", "failed", "baseline", "best"]
    names = names if wide else ["study", "data", "trials", "baseline", "best"]
    for name in names:
        title = f"{name} x100" if name == "baseline" else name
        table.add_column(title, no_wrap=name not in ("best", "data"), overflow="fold")
    for one in found:
        values = one | {"baseline": "" if one["baseline"] is None else f"{100 * one['baseline']:.1f}"}
        table.add_row(*(str(values[name]) for name in names))
    return table


def _summary(name: str) -> _Study:
    from nas_attn.analysis import rank
    from nas_attn.record import State
    from nas_attn.study.setup.find import open_study
    from nas_attn.wording.placements import describe

    ledger = open_study(name)
    records, identity = ledger.records(), ledger.identity
    ranking = rank(records, cost=identity["cost"])
    states = [record.state for record in records]
    return {
        "study": name,
        "space": identity["space"]["name"],
        "data": identity["data"],
        "strategy": identity["strategy"],
        "cost": identity["cost"],
        "trials": states.count(State.COMPLETE),
        "failed": states.count(State.FAILED),
        "baseline": ranking.plain.iou_mean if ranking.plain else None,
        "best": describe(ranking.rows[0].placement) if ranking.rows else "",
    }
