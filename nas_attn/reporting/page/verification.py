"""Whether the gain of the leading placement is confirmed on data that did not choose it."""

from __future__ import annotations

from collections.abc import Iterator

from nas_attn.analysis import RankedPlacement
from nas_attn.analysis.verification import verification_of
from nas_attn.reporting.page.facts import StudyFacts
from nas_attn.wording.verifications import confirmation_sentences, module_sentences, verdict_sentence


def leading(facts: StudyFacts) -> RankedPlacement | None:
    """The first placement with attention, or else the plain U-Net; None where nothing is ranked."""
    rows = facts.ranking.rows
    return next((row for row in rows if not row.is_plain), rows[0] if rows else None)


def holding_lines(facts: StudyFacts) -> tuple[str, ...]:
    """Of the leading placement, then of the others that were verified.

    Nothing where the plain U-Net leads and nothing was verified: then nothing is claimed.
    """
    first = leading(facts)
    if first is None or (first.rank > 1 and not facts.verifications):
        return ()
    held = facts.study, first, facts.ranking, facts.verifications
    return (*confirmation_sentences(*held), *module_sentences(*held), *_others(facts, first))


def holding_line(facts: StudyFacts) -> str:
    """The first of these, which stands beside the verdict; empty where there is none."""
    return next(iter(holding_lines(facts)), "")


def _others(facts: StudyFacts, first: RankedPlacement) -> Iterator[str]:
    shown = verification_of(first, facts.ranking, facts.verifications)
    for other in facts.verifications:
        if other is not shown:
            yield f"Verified besides: {verdict_sentence(other)}"
