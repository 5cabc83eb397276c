"""Rank the placements of a study by IoU against cost, with what is only seed noise called that.

nas-attn rank nuclei
nas-attn rank nuclei --top 20
nas-attn rank nuclei --metric foreground-iou
nas-attn rank nuclei --json > ranking.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas_attn.cli._flags import JOINING, add_settings, given_settings
from nas_attn.cli._stream import say
from nas_attn.errors import UsageError

if TYPE_CHECKING:
    from nas_attn.analysis import Ranking
    from nas_attn.record import TrialRecord
    from nas_attn.study.database.ledger import Ledger

_TOP = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of a study, or its folder")
    parser.add_argument("--top", type=int, metavar="N", help=f"rows [{_TOP}; all in JSON and CSV]")
    add_settings(parser, ("cost", "metric", "storage"), defaults={**JOINING, "metric": "the study's"})
    written = parser.add_mutually_exclusive_group()
    written.add_argument("--json", action="store_true", help="a JSON list, one object for each placement")
    written.add_argument("--csv", action="store_true", help="the same as CSV")


def run(arguments: argparse.Namespace) -> int:
    """Print the ranking."""
    from nas_attn.analysis import ranking_csv, ranking_json
    from nas_attn.analysis.per_class import ranked_ious
    from nas_attn.study.answer import judged_records, ranking_of
    from nas_attn.study.setup.find import open_study

    if arguments.top is not None and arguments.top < 1:
        raise UsageError(f"--top: {arguments.top} must be a whole number of at least 1")
    ledger = open_study(arguments.study, arguments.storage)
    given_settings(arguments, ("metric",))
    records = judged_records(ledger, arguments.metric)
    ranking = ranking_of(ledger, records, arguments.cost)
    if arguments.json:
        classes = ledger.context.get("classes", ())
        say(ranking_json(ranking, arguments.top, ranked_ious(records, ranking, classes)))
    elif arguments.csv:
        say(ranking_csv(ranking, arguments.top), end="")
    else:
        _show(ledger, records, ranking, arguments.metric, arguments.top or _TOP)
    return 0


def _show(ledger: Ledger, records: Sequence[TrialRecord], ranking: Ranking, metric: str | None, top: int) -> None:
    from nas_attn.analysis.result import claimed_row
    from nas_attn.analysis.verification import verification_of
    from nas_attn.cli._console import wide_console
    from nas_attn.reporting.terminal.budgets import budget_text
    from nas_attn.reporting.terminal.leaders import leaders
    from nas_attn.reporting.terminal.ranking_table import ranking_table
    from nas_attn.strategy.settings import is_on_proof, ladder_of
    from nas_attn.study.answer import answer_by
    from nas_attn.study.verified import read_verifications
    from nas_attn.wording.verdicts import answer_sentences
    from nas_attn.wording.verifications import confirmation_sentences

    console, verifications = wide_console(), read_verifications(ledger)
    verdict = answer_by(ledger, records, ranking, () if metric else verifications)
    said, *others = answer_sentences(ledger.name, verdict)
    console.print(ranking_table(ranking, top, said=said))
    console.print()
    console.print(leaders(ranking, records))
    if ranking.budget is None:
        return
    ladder = ladder_of(ledger.identity, ranking.budget)
    console.print()
    proof = is_on_proof(ledger.identity)
    console.print(budget_text(records, ranking, ladder, on_proof=proof, worth=verdict.worth))
    console.print("\n".join(others), soft_wrap=True)
    if text := _classes_text(ledger, records, ranking):
        console.print(text, soft_wrap=True)
    row = claimed_row(ranking)
    if row is None or (ranking.rows[0].is_plain and verification_of(row, ranking, verifications) is None):
        return  # nothing is claimed, and nothing was verified
    console.print()
    console.print("\n".join(confirmation_sentences(ledger.name, row, ranking, verifications)))


def _classes_text(ledger: Ledger, records: Sequence[TrialRecord], ranking: Ranking) -> str:
    """The IoU of each class of the first placement with attention, compared with the baseline's."""
    from nas_attn.analysis.per_class import paired_ious
    from nas_attn.wording.rankings import classes_sentence

    first = next((row for row in ranking.rows if not row.is_plain), None)
    if first is None:
        return ""
    found, plain = paired_ious(records, first, ranking)
    return classes_sentence(
        ledger.context.get("classes", ()), found, plain, f"number {first.rank}", ranking.metric
    )
