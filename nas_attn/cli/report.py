"""Write a report of a study as one page: a file that opens in any browser and needs nothing else.

nas-attn report nuclei -o report.html
nas-attn report nuclei -o report.html --no-panels
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas_attn.cli._flags import JOINING, add_settings
from nas_attn.cli._output import check_writable
from nas_attn.cli._stream import say
from nas_attn.errors import NasAttnError, UsageError
from nas_attn.steps import step

if TYPE_CHECKING:
    from nas_attn.reporting.page import StudyFacts
    from nas_attn.study.database.ledger import Ledger
    from nas_attn.study.setup.folder import StudyFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of a study, or its folder")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="page to write, *.html")
    parser.add_argument(
        "--no-panels", action="store_true", help="no predictions, for which two networks are trained again"
    )
    add_settings(parser, ("cost", "storage"), defaults=JOINING)


def run(arguments: argparse.Namespace) -> int:
    """Write the page."""
    from nas_attn.architecture.replacing import write_text
    from nas_attn.reporting.page import report_page
    from nas_attn.reporting.presentation.report_facts import report_facts
    from nas_attn.study.setup.find import folder_of, open_study

    _check(arguments.output)
    ledger = open_study(arguments.study, arguments.storage)
    folder = folder_of(arguments.study)
    study_file = folder.settings if folder.settings.is_file() else None
    with step("reading the study"):
        facts = report_facts(ledger, cost=arguments.cost, study_file=study_file)
    if not arguments.no_panels:
        facts = _with_panels(facts, ledger, folder)
    with step("drawing the page"):
        page = report_page(facts)
    write_text(arguments.output, page)
    say(f"{arguments.output}: report of '{ledger.name}', {len(page) / 1e6:.1f} MB")
    return 0


def _with_panels(facts: StudyFacts, ledger: Ledger, folder: StudyFolder) -> StudyFacts:
    """Add the prediction panels. If they cannot be made, report the reason here and on the page."""
    from nas_attn.reporting.presentation.panels import find_pair, make_panels

    pair = find_pair(facts.records, facts.ranking)
    if pair is None:
        return facts
    try:
        return replace(facts, panels=make_panels(ledger, pair, folder, listener=say))
    except NasAttnError as error:
        remark = f"No prediction panels: {'; '.join(error.problems)}"
        say(remark)
        return replace(facts, remarks=(*facts.remarks, remark))


def _check(output: Path) -> None:
    """Check the output path before anything is computed."""
    if output.is_dir():
        raise UsageError(f"{output}: is a folder; write such as {output / 'report.html'}")
    if output.exists() and not output.is_file():
        raise UsageError(f"{output}: is not a regular file; name a file such as report.html")
    check_writable(output)
