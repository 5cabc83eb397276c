"""What the model of effects expects of placements: a run of one tells of all that share an attention with it."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategy.effects import Effects
from nas_attn.strategy.encoding import Encoding
from nas_attn.strategy.question import Question
from nas_attn.strategy.runs import RungRuns

LEAST_RUNS = 16
LEAST_AT_THE_TOP = 2
"""With fewer runs, or fewer of the top budget, nothing is expected."""


def learned(question: Question) -> tuple[Effects, Encoding]:
    """The model of effects, given all that a strategy may know.

    Args:
        question: with one record at least.
    """
    return _learned(question.space, question.shown or question.records, question.ladder)


def expected_ious(
    space: SearchSpace,
    records: Sequence[TrialRecord],
    placements: Sequence[Placement],
    ladder: tuple[Budget, ...] = (),
) -> dict[Placement, float]:
    """The IoU to expect of each placement at the top budget, over seeds; empty where too few runs are there.

    It need not be the mean of the placement's own runs: a single one says less of it than all others together.

    Args:
        space: of the study.
        records: finished evaluations, of one budget or of a ladder's.
        placements: which, run or not.
        ladder: budgets of the records, the shortest first; may be left out where they have one only.
    """
    complete = [record.budget for record in records if record.outcome is not None]
    at_the_top = sum(not ladder or budget == ladder[-1] for budget in complete)
    if not placements or len(complete) < LEAST_RUNS or at_the_top < LEAST_AT_THE_TOP:
        return {}
    effects, encoding = _learned(space, records, ladder, placements)
    return dict(zip(placements, effects.ious(encoding.encode(placements)).tolist(), strict=True))


def _learned(
    space: SearchSpace,
    records: Sequence[TrialRecord],
    ladder: tuple[Budget, ...],
    others: Sequence[Placement] = (),
) -> tuple[Effects, Encoding]:
    ordered = sorted(records, key=lambda record: record.number)
    encoding = Encoding.of(space, (*(record.placement for record in ordered), *others))
    return Effects.learn(RungRuns.of(ordered, encoding, ladder)), encoding
