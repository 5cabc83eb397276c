"""Expected IoU of placements. A run of one placement is informative about all that share an attention with it."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.analysis.gains import Gains
from nas_attn.analysis.study_gains import study_gains
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.strategy.question import Question

LEAST_RUNS = 16
LEAST_AT_THE_TOP = 2
"""With fewer runs, or fewer runs of the top budget, there is no expectation."""


def learned(question: Question) -> tuple[Gains, dict[Placement, int]]:
    """The posterior given everything that a strategy may know, and the row of each placement that ran.

    If no run failed and there is one budget, it is the posterior that ``nas-attn effects`` shows.

    Args:
        question: with at least one record.
    """
    return study_gains(question.shown or question.records, ladder=question.ladder, with_failed=True)


def expected_ious(
    records: Sequence[TrialRecord],
    placements: Sequence[Placement],
    ladder: tuple[Budget, ...] = (),
) -> dict[Placement, float]:
    """The expected IoU of each placement at the top budget, averaged over seeds; empty if there are too few runs.

    It may differ from the mean of the placement's own runs, because a single run says less about it than all
    others together.

    Args:
        records: finished evaluations, of one budget or of the budgets of a ladder.
        placements: with or without runs.
        ladder: budgets of the records, the shortest first; may be omitted if there is only one.
    """
    complete = [record.budget for record in records if record.outcome is not None]
    at_the_top = sum(not ladder or budget == ladder[-1] for budget in complete)
    if not placements or len(complete) < LEAST_RUNS or at_the_top < LEAST_AT_THE_TOP:
        return {}
    gains, rows = study_gains(records, ladder=ladder, with_failed=True, others=placements)
    return {placement: gains.level + float(gains.mean[rows[placement]]) for placement in placements}
