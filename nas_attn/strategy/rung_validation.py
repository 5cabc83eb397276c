"""On which rung of a ladder new placements begin: what the order on it has shown to be worth."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.analysis import RungFidelity, compared_rungs, ladder_fidelity
from nas_attn.budget import Budget
from nas_attn.record import TrialRecord

LEAST_CORRELATION = 0.4
LEAST_PLACEMENTS = 8
"""With fewer placements on both rungs a rank correlation is not judged."""
PROOF = 0.8
"""Confidence of the interval of the rank correlation that has to lie above 0."""
LEAST_TWINS, MOST_TWINS = 12, 24
"""Placements that ran in full before their short run: fewer prove nothing, more are not made to prove anything."""


def lowest_rung(records: Sequence[TrialRecord], ladder: tuple[Budget, ...], *, on_proof: bool = False) -> int:
    """The number of the rung on which new placements begin, from 0.

    The first whose order foretells the next rung's: a rank correlation of at least ``LEAST_CORRELATION`` of what
    can be had, or not known yet. On proof it is the first or the last.

    Args:
        records: finished evaluations.
        ladder: budgets, the shortest first.
        on_proof: short runs are left out until they are proven to foretell those of the top.
    """
    if on_proof:
        return 0 if _is_proven(records, ladder) else len(ladder) - 1
    rungs = ladder_fidelity(record for record in records if record.budget in ladder)
    useless = {rung.lower for rung in rungs if _is_useless(rung)}
    return next(index for index, budget in enumerate(ladder) if budget not in useless)


def twins(records: Sequence[TrialRecord], ladder: tuple[Budget, ...]) -> RungFidelity | None:
    """How well the first rung foretells the top by what ran there first; None for fewer than three placements.

    What climbed was chosen by its short run, so that among these the correlation is lower than among all.

    Args:
        records: finished evaluations.
        ladder: budgets, the shortest first.
    """
    short, long = ladder[0], ladder[-1]
    full = {(record.placement, record.seed): record.number for record in records if record.budget == long}
    kept = [
        record
        for record in records
        if record.budget == long
        or (record.budget == short and full.get((record.placement, record.seed), record.number) < record.number)
    ]
    return compared_rungs(kept, short, long, confidence=PROOF)


def _is_proven(records: Sequence[TrialRecord], ladder: tuple[Budget, ...]) -> bool:
    """By the twins, until all placements together say that it is surely less than it takes."""
    proof = twins(records, ladder)
    if proof is None or proof.n_placements < LEAST_TWINS or proof.interval is None or proof.interval.low <= 0:
        return False
    known = compared_rungs(records, ladder[0], ladder[-1])
    return known is None or known.interval is None or known.interval.high >= LEAST_CORRELATION


def _is_useless(rung: RungFidelity) -> bool:
    """Where the noise of the longer runs is not known, it takes certainty, or twice as many placements."""
    if rung.n_placements < LEAST_PLACEMENTS:
        return False
    if rung.attainable is not None:
        return rung.correlation < LEAST_CORRELATION * rung.attainable
    if rung.interval is not None and rung.interval.high < LEAST_CORRELATION:
        return True
    return rung.n_placements >= 2 * LEAST_PLACEMENTS and rung.correlation < LEAST_CORRELATION
