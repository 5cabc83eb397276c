"""The answer of a study, by its trials and its verifications."""

from __future__ import annotations

from nas_attn.analysis import judged_by, rank
from nas_attn.analysis.verdict import StudyVerdict, verdict_of
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.verified import read_verifications


def answer_of(
    ledger: Ledger, *, worth: float | None = None, metric: str | None = None, cost: str | None = None
) -> StudyVerdict:
    """What a study says of its question.

    Args:
        ledger: of the study.
        worth: smallest gain that matters, in points; what the study was searched with where left out.
        metric: by which it is judged; the study's where left out, and then what was verified counts.
        cost: second axis of the front; the study's where left out.
    Raises:
        StudyError: the study cannot be read.
        UsageError: the study has no such metric.
    """
    records = ledger.records() if metric is None else judged_by(ledger.records(), metric)
    plan = ledger.plan
    matters = plan.worth if plan else None
    return verdict_of(
        records,
        read_verifications(ledger) if metric is None else (),
        ranking=rank(records, cost=cost or ledger.identity["cost"]),
        worth=matters if worth is None else worth / 100,
    )
