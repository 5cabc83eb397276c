"""Sentences about the budgets of a ranking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from nas_attn.analysis import Ranking, ladder_fidelity
from nas_attn.analysis.convergence import ranked_convergence
from nas_attn.budget import Budget
from nas_attn.record import TrialRecord
from nas_attn.wording.budgets import convergence_sentence, correlation_sentence, fidelity_sentences


def budget_text(
    records: Sequence[TrialRecord],
    ranking: Ranking,
    ladder: tuple[Budget, ...],
    *,
    on_proof: bool,
    worth: float | None = None,
) -> Text:
    """The baseline's curve, whether the budget is long enough, and how well short runs predicted long ones.

    Args:
        records: of the study.
        ranking: of these.
        ladder: the study's budgets, the shortest first; a single one has no rungs.
        on_proof: whether its short runs had to be validated before placements started with them.
        worth: smallest gain that matters, in units of IoU; the default depends on the noise.
    """
    curve = ranked_convergence(records, ranking, worth)
    text = Text()
    if curve is not None:
        text.append(convergence_sentence(curve), style="yellow" if curve.converged is False else "")
    lines = (_proof_lines if on_proof else _ladder_lines)(records, ladder) if len(ladder) > 1 else ()
    for line in lines:
        text.append(f"\n{line}")
    return text


def _ladder_lines(records: Sequence[TrialRecord], ladder: tuple[Budget, ...]) -> Iterator[str]:
    """The rank correlation between neighbouring rungs, and what followed from it."""
    from nas_attn.strategy import lowest_rung

    for rung in ladder_fidelity(record for record in records if record.budget in ladder):
        yield from fidelity_sentences(rung)
    begun = ladder[lowest_rung(records, ladder)]
    if begun != ladder[0]:
        yield f"So new placements began with {begun.steps} steps in the end, not with {ladder[0].steps}."


def _proof_lines(records: Sequence[TrialRecord], ladder: tuple[Budget, ...]) -> Iterator[str]:
    """Whether the short runs were validated, and the rungs if they were."""
    from nas_attn.strategy import LEAST_TWINS, PROOF, lowest_rung, twins

    proof = twins(records, ladder)
    if proof is None or proof.interval is None:
        return
    yield correlation_sentence(proof)
    interval = f"{100 * PROOF:.0f} % interval"
    if lowest_rung(records, ladder, on_proof=True) == 0:
        yield f"So short runs are validated ({interval}): new placements then began with {ladder[0].steps} steps."
        rungs = ladder_fidelity(record for record in records if record.budget in ladder)
        yield from (correlation_sentence(rung) for rung in rungs if rung.interval is not None)
    elif proof.n_placements < LEAST_TWINS:
        yield f"It takes {LEAST_TWINS} placements to validate short runs, so all ran in full."
    elif proof.interval.low > 0:
        yield "Promoted placements refuted it in the end, so new placements ran in full again."
    else:
        yield f"So short runs are not validated ({interval}): all placements ran in full."
