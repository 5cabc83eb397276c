"""Write what a study found as one page: a file that opens in any browser and needs nothing else.

nas-attn report nuclei -o report.html
nas-attn report nuclei -o report.html --no-panels
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nas_attn.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of a study, or its folder")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="page to write, *.html")
    parser.add_argument("--cost", metavar="COST", help="macs | parameters | latency | memory [the study's]")
    parser.add_argument("--storage", metavar="URL", help="SQLAlchemy URL [SQLite in the study's folder]")


def run(arguments: argparse.Namespace) -> int:
    """Write the page."""
    from nas_attn.report import report_page
    from nas_attn.study.find import folder_of, open_study
    from nas_attn.study.report_facts import report_facts

    _check(arguments.output)
    ledger = open_study(arguments.study, arguments.storage)
    study_file = folder_of(arguments.study).settings
    facts = report_facts(ledger, cost=arguments.cost, study_file=study_file if study_file.is_file() else None)
    page = report_page(facts)
    try:
        arguments.output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{arguments.output}: cannot be written: {error.strerror}") from None
    print(f"{arguments.output}: report of '{ledger.name}', {len(page) / 1e6:.1f} MB")
    return 0


def _check(output: Path) -> None:
    """Told before anything is computed."""
    if output.is_dir():
        raise UsageError(f"{output}: is a folder; write such as {output / 'report.html'}")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: there is no folder {output.parent}")
