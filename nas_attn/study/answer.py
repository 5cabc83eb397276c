"""The answer of a study, from its trials and its verifications."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nas_attn.analysis import RankedPlacement, Ranking, judged_by, rank
from nas_attn.analysis.verdict import StudyVerdict, verdict_of
from nas_attn.analysis.verification import Verification
from nas_attn.architecture import BEST, pick
from nas_attn.record import TrialRecord
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.verified import read_verifications


def answer_of(ledger: Ledger, *, worth: float | None = None, metric: str | None = None) -> StudyVerdict:
    """The verdict of a study.

    Args:
        ledger: of the study.
        worth: smallest gain that matters, in points; the default is that of the search.
        metric: by which placements are compared; the default is the study's, and verifications count only then.
    Raises:
        StudyError: the study cannot be read.
        UsageError: the study has no such metric.
    """
    records = judged_records(ledger, metric)
    ranking = ranking_of(ledger, records)
    verifications = read_verifications(ledger) if metric is None else ()
    return answer_by(ledger, records, ranking, verifications, worth=worth)


def judged_records(ledger: Ledger, metric: str | None) -> Sequence[TrialRecord]:
    """The trials of a study, scored by a metric; None takes the study's.

    Raises:
        StudyError: the study cannot be read.
        UsageError: the study has no such metric.
    """
    return ledger.records() if metric is None else judged_by(ledger.records(), metric)


def ranking_of(ledger: Ledger, records: Sequence[TrialRecord], cost: str | None = None) -> Ranking:
    """The ranking of a study, with the latencies of placements that were timed together.

    Args:
        ledger: of the study.
        records: its trials.
        cost: second axis of the front; the default is the study's.
    """
    return rank(records, cost=cost or ledger.identity["cost"], latencies=ledger.latencies)


def picked(ranking: Ranking, how: str, answer: Callable[[], StudyVerdict]) -> RankedPlacement:
    """A placement of a study, selected as ``pick`` does. Its best is that of the study's answer.

    Args:
        ranking: of the study.
        how: as in ``pick``.
        answer: returns the answer of the study; only called for the best.
    Raises:
        UsageError: as ``pick``.
        ExportError: as ``pick``.
    """
    best = answer().winner if how == BEST else None
    return best or pick(ranking, how)


def answer_by(
    ledger: Ledger,
    records: Sequence[TrialRecord],
    ranking: Ranking,
    verifications: Sequence[Verification],
    *,
    worth: float | None = None,
) -> StudyVerdict:
    """The verdict from what has already been read of a study.

    Args:
        ledger: of the study.
        records: its trials, scored by the metric of the ranking.
        ranking: of these.
        verifications: that count.
        worth: as in ``answer_of``.
    """
    plan = ledger.plan
    matters = plan.worth if plan else None
    return verdict_of(
        records,
        verifications,
        ranking=ranking,
        worth=matters if worth is None else worth / 100,
        trials=plan.trials if plan and plan.timeout is None else None,
        share=ledger.identity["finalists"],
    )
