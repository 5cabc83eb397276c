"""What the rungs of a search were worth, in words."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.budget import Budget
from nas_attn.ranking import ladder_fidelity
from nas_attn.record import TrialRecord


def ladder_lines(records: Sequence[TrialRecord], ladder: tuple[Budget, ...]) -> list[str]:
    """The rank correlation between neighbouring rungs, and what follows from it; nothing for a single budget.

    Args:
        records: of the study.
        ladder: its budgets, the shortest first.
    """
    from nas_attn.strategies import lowest_rung

    if len(ladder) == 1:
        return []
    found = ladder_fidelity(record for record in records if record.budget in ladder)
    lines = [line for rung in found for line in (rung.text, rung.warning) if line is not None]
    begun = ladder[lowest_rung(records, ladder)]
    if begun != ladder[0]:
        lines.append(f"So new placements began with {begun.steps} steps in the end, not with {ladder[0].steps}.")
    return lines
