"""What a ranking's budgets were worth, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from nas_attn.budget import Budget
from nas_attn.ranking import Ranking, ladder_fidelity
from nas_attn.record import TrialRecord


def budget_text(records: Sequence[TrialRecord], ranking: Ranking, ladder: tuple[Budget, ...]) -> Text:
    """The plain U-Net's curve, whether it has converged, and what short runs foretold.

    Args:
        records: of the study.
        ranking: of these.
        ladder: the study's budgets, the shortest first; a single one has no rungs to speak of.
    """
    from nas_attn.study.schedule.convergence import ranked_convergence

    curve = ranked_convergence(records, ranking)
    text = Text()
    if curve is not None:
        text.append(curve.words, style="yellow" if curve.converged is False else "")
    for line in _ladder_lines(records, ladder):
        text.append(f"\n{line}")
    return text


def _ladder_lines(records: Sequence[TrialRecord], ladder: tuple[Budget, ...]) -> Iterator[str]:
    """The rank correlation between neighbouring rungs, and what followed from it."""
    from nas_attn.strategies import lowest_rung

    if len(ladder) < 2:
        return
    for rung in ladder_fidelity(record for record in records if record.budget in ladder):
        yield from filter(None, (rung.text, rung.warning))
    begun = ladder[lowest_rung(records, ladder)]
    if begun != ladder[0]:
        yield f"So new placements began with {begun.steps} steps in the end, not with {ladder[0].steps}."
