"""Write an architecture of a study to a file that nas_attn.load and 'nas-attn train' read.

nas-attn export nuclei -o best.yaml
nas-attn export nuclei --pick knee -o knee.yaml
nas-attn export nuclei --pick under:macs=1.2x -o small.yaml
nas-attn export nuclei --pick id:1f0c -o mine.yaml
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of a study, or its folder")
    parser.add_argument(
        "--pick",
        default="best",
        metavar="RULE",
        help="best | knee | one-se | under:macs=1.2x (also parameters, latency, memory) | id:HASH [best]",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="file to write")
    parser.add_argument("--storage", metavar="URL", help="SQLAlchemy URL [SQLite in the study's folder]")


def run(arguments: argparse.Namespace) -> int:
    """Pick a placement and write it."""
    from nas_attn.attention import catalogue
    from nas_attn.cli._console import wide_console
    from nas_attn.export import pick, write_architecture
    from nas_attn.ranking import describe, rank
    from nas_attn.study.find import open_study
    from nas_attn.study.winner import architecture_of

    ledger = open_study(arguments.study, arguments.storage)
    records = ledger.records()
    ranking = rank(records, cost=ledger.identity["cost"])
    row = pick(ranking, arguments.pick)
    write_architecture(architecture_of(ledger, records, ranking, row), arguments.output, catalogue())
    wide_console().print(
        f"{arguments.output}: {describe(row.placement)} (rank {row.rank}, {row.placement.id})", soft_wrap=True
    )
    return 0
