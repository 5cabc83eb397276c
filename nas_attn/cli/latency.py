"""Time the leading placements of a study together, on this machine, and store the latencies with the study.

  nas-attn latency nuclei
  nas-attn latency nuclei --size 512 --batch 1
  nas-attn latency nuclei --device cuda --top 20 --json

The Pareto front, the tested placements, the first rows of the ranking and the baseline take turns, so that other
work of this machine slows all of them down. Each time is divided by the baseline's of the same round. A search
does the same at its end, at the size of its largest images. From then on, rank, report, card, Python and JSON
show these latencies.
"""

from __future__ import annotations

import argparse
import json
import re
from typing import TYPE_CHECKING

from nas_attn.cli._flags import JOINING, add_settings, given_settings
from nas_attn.cli._stream import say
from nas_attn.errors import StudyError

if TYPE_CHECKING:
    from nas_attn.analysis import Ranking
    from nas_attn.latencies import LatencyTable

_TOP = 10
_SIDES = re.compile(r"(\d{1,5})(?:x(\d{1,5}))?", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of a study, or its folder")
    parser.add_argument("--size", metavar="S", help="pixels: 512, or 512x384 (H x W) [the study's largest image]")
    parser.add_argument("--batch", type=int, metavar="N", help="images of the batch beside one [the study's]")
    parser.add_argument("--top", type=int, default=_TOP, metavar="N", help=f"first rows of the ranking [{_TOP}]")
    add_settings(parser, ("device", "storage"), defaults=JOINING)
    parser.add_argument("--json", action="store_true", help="all figures as one object")


def run(arguments: argparse.Namespace) -> int:
    """Time and print."""
    from nas_attn.study.answer import ranking_of
    from nas_attn.study.latencies import bench_of, keep_latencies
    from nas_attn.study.setup.find import open_study
    from nas_attn.study.setup.preset import find_devices

    size = _checked(arguments)
    ledger = open_study(arguments.study, arguments.storage)
    records = ledger.records()
    ranking = ranking_of(ledger, records)
    if not ranking.rows:
        raise StudyError(f"study '{ledger.name}': no trial is complete yet, so there is nothing to time")
    device = find_devices(arguments.device or "auto")[0]
    bench = bench_of(ledger, device, size=size, batch=arguments.batch)
    table = keep_latencies(ledger, ranking, bench, arguments.top)
    _show(table, ranking_of(ledger, records), as_json=arguments.json)
    return 0


def _checked(arguments: argparse.Namespace) -> tuple[int, int] | None:
    """The H and W that were given; None if none were.

    Raises:
        UsageError: flags are invalid; all are reported together.
    """
    problems = [
        f"--{name}: {value} must be a whole number of at least 1"
        for name, value in (("batch", arguments.batch), ("top", arguments.top))
        if value is not None and value < 1
    ]
    found = None if arguments.size is None else _SIDES.fullmatch(arguments.size)
    if arguments.size is not None and found is None:
        problems.append(f"--size: '{arguments.size}' is not a size; write such as 512, or 512x384")
    given_settings(arguments, ("device",), *problems)
    return None if found is None else (int(found[1]), int(found[2] or found[1]))


def _show(table: LatencyTable, ranking: Ranking, *, as_json: bool) -> None:
    if as_json:
        placements = {row.placement.id: row.placement.to_dict() for row in ranking.rows if table.of(row.placement)}
        say(json.dumps({**table.to_dict(), "placements": placements}, indent=2))
        return
    from nas_attn.cli._console import wide_console
    from nas_attn.reporting.terminal.ranking_table import latency_table

    wide_console().print(latency_table(table, ranking))
