"""The gains of a study's placements, from its records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nas_attn.analysis.effect_model import USUAL
from nas_attn.analysis.evidence import Evidence
from nas_attn.analysis.gains import Gains, gains_of
from nas_attn.analysis.runs import by_placement, cells_by_budget
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord

_FAILED = float("-inf")


def study_gains(
    records: Sequence[TrialRecord],
    *,
    ladder: Sequence[Budget] = (),
    with_failed: bool = False,
    others: Iterable[Placement] = (),
) -> tuple[Gains, dict[Placement, int]]:
    """The posterior of all placements' gains, and the row of each placement.

    Effects are reported from this posterior and proposals are drawn from it. It uses the same runs as a ranking:
    the complete runs of one budget without collapsed ones. (``Evidence.gains`` differs only by a more sceptical
    prior.) A search can add the short runs of its successive halving, and the runs that failed.

    Args:
        records: of one study, in any order.
        ladder: budgets of successive halving, the shortest first; the last one is ranked. Empty for the budget
            that a ranking takes.
        with_failed: whether a failed run counts as one far below the others.
        others: further placements that are only predicted.
    """
    top = [record for record in records if not ladder or record.budget == ladder[-1]]
    evidence = Evidence.of(top)
    tables = {run.placement: scores for run, scores in zip(evidence.selected.runs, evidence.clean, strict=True)}
    cells = cells_by_budget(record for record in records if record.budget in ladder[:-1])
    short = [by_placement(cells.get(budget, {})) for budget in reversed(ladder[:-1])]
    failed = _failed(top) if with_failed else {}
    rows = dict.fromkeys([*tables, *failed, *(placement for table in short for placement in table), *others])
    found = gains_of(
        list(rows),
        [{**failed.get(placement, {}), **tables.get(placement, {})} for placement in rows],
        [*evidence.influences, *({} for _ in range(len(rows) - len(tables)))],
        [[table.get(placement, {}) for placement in rows] for table in short],
        prior=USUAL,
    )
    return found, {placement: row for row, placement in enumerate(rows)}


def _failed(records: Iterable[TrialRecord]) -> dict[Placement, dict[int, float]]:
    found: dict[Placement, dict[int, float]] = {}
    for record in sorted(records, key=lambda record: record.number):
        if record.failure is not None:
            found.setdefault(record.placement, {})[record.seed] = _FAILED
    return found
