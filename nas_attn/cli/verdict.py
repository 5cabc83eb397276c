"""Is attention worth it here? The answer of a study: better, equivalent or undecided.

nas-attn verdict nuclei
nas-attn verdict nuclei --worth 0.5
nas-attn verdict nuclei --json
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nas_attn.cli._flags import JOINING, add_settings, given_settings
from nas_attn.cli._stream import say

if TYPE_CHECKING:
    from nas_attn.analysis.verdict import StudyVerdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of a study, or its folder")
    add_settings(parser, ("worth", "metric", "storage"), defaults={**JOINING, "metric": "the study's"})
    parser.add_argument("--json", action="store_true", help="the answer as one object")


def run(arguments: argparse.Namespace) -> int:
    """Print the answer."""
    from nas_attn.analysis.formats import verdict_json
    from nas_attn.study.answer import answer_of
    from nas_attn.study.setup.find import open_study

    given = given_settings(arguments, ("worth", "metric"))
    ledger = open_study(arguments.study, arguments.storage)
    verdict = answer_of(ledger, **given)  # type: ignore[arg-type]  # given_settings has judged both
    sentences = sentences_of(ledger.name, verdict)
    say(verdict_json(ledger.name, verdict, sentences) if arguments.json else "\n".join(sentences))
    return 0


def sentences_of(study: str, verdict: StudyVerdict) -> tuple[str, ...]:
    """The answer, with warnings about its evidence."""
    from nas_attn.wording.costs import disagreement_notes
    from nas_attn.wording.verdicts import answer_sentences

    return (*answer_sentences(study, verdict), *disagreement_notes(verdict.ranking))
