"""How well the short runs of a ladder predict long ones: where new placements start, and what to expect at the
top."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nas_attn.analysis import RungFidelity, compared_rungs, ladder_fidelity
from nas_attn.analysis.images import Array
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord

LEAST_CORRELATION = 0.4
LEAST_PLACEMENTS = 8
"""With fewer placements on both rungs, a rank correlation is not used."""
PROOF = 0.8
"""Confidence of the interval of the rank correlation, which has to lie above 0."""
LEAST_TWINS, MOST_TWINS = 12, 24
"""Number of placements that also run short after they ran in full: fewer validate nothing, and more are not run
for validation."""
_PRIOR_SLOPE, _PRIOR_SLOPE_SD = 0.5, 0.3
"""Prior: half of the differences between short runs are true. It applies until placements were run on both
rungs."""
_BEND = 2.0
"""Below the middle by this many spreads, a scale is logarithmic."""
_LEAST_SPREAD = 1e-6


def lowest_rung(records: Sequence[TrialRecord], ladder: tuple[Budget, ...], *, on_proof: bool = False) -> int:
    """The number of the rung on which new placements start, from 0.

    It is the first rung whose order predicts that of the next rung: its rank correlation is at least
    ``LEAST_CORRELATION`` of the attainable one, or is not known yet. On proof, it is the first or the last rung.

    Args:
        records: finished evaluations.
        ladder: budgets, the shortest first.
        on_proof: whether short runs are only used once they are shown to predict runs at the top.
    """
    if on_proof:
        return 0 if _is_proven(records, ladder) else len(ladder) - 1
    rungs = ladder_fidelity(record for record in records if record.budget in ladder)
    useless = {rung.lower for rung in rungs if _is_useless(rung)}
    return next(index for index, budget in enumerate(ladder) if budget not in useless)


def twins(records: Sequence[TrialRecord], ladder: tuple[Budget, ...]) -> RungFidelity | None:
    """How well the first rung predicts the top, for placements that ran at the top first; None for fewer than
    three.

    Promoted placements were selected by their short runs, so among them the correlation is lower than among all
    placements.

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


def at_the_top(records: Sequence[TrialRecord], ladder: tuple[Budget, ...]) -> tuple[TrialRecord, ...]:
    """For each placement and seed, the run on the highest rung, with its expected IoU at the top.

    A placement that failed on any rung counts as failed.

    Args:
        records: of any budgets.
        ladder: budgets, the shortest first.
    """
    relations = relations_to_top(records, ladder)
    highest: dict[tuple[Placement, int], TrialRecord] = {}
    for record in sorted(records, key=lambda record: record.number):
        if record.budget in ladder:
            held = highest.get((record.placement, record.seed))
            if held is None or record.budget > held.budget:
                highest[record.placement, record.seed] = record
    return tuple(_translated(record, relations.get(record.budget)) for record in highest.values())


def relations_to_top(records: Sequence[TrialRecord], ladder: tuple[Budget, ...]) -> dict[Budget, Relation]:
    """For each budget below the top of a ladder, the shortest first, its relation to the top in the finished
    evaluations."""
    top = _cells(records, ladder[-1])
    found = {}
    for budget in ladder[:-1]:
        cells = _cells(records, budget)
        pairs = [(iou, top[cell]) for cell, iou in cells.items() if cell in top]
        found[budget] = Relation.learn(np.array(list(cells.values())), np.array(list(top.values())), pairs)
    return found


@dataclass(frozen=True)
class Relation:
    """A straight line from the scores of one rung to those of the top: ``top = slope * short + residual``.

    Both scores have the centre 0 and the spread 1 among the runs of their rung (``Bend``).

    Args:
        short: scores of the rung.
        top: scores of the top.
        slope: mean of its posterior, at least 0, because short runs that reverse the order are of no use.
    """

    short: Bend
    top: Bend
    slope: float

    @classmethod
    def learn(cls, short: Array, top: Array, pairs: Sequence[tuple[float, float]]) -> Relation:
        """Fit the line to the IoUs of both rungs, and to those of runs with the same placement and seed on both.

        That placements were promoted for their short runs does not bias the line, because it describes top scores
        given short ones.
        """
        short_bend, top_bend = Bend.of(short), Bend.of(top)
        x, y = (
            bend.scores(np.array([pair[side] for pair in pairs]))
            for side, bend in enumerate((short_bend, top_bend))
        )
        variance = 1 - _PRIOR_SLOPE**2
        precision = 1 / _PRIOR_SLOPE_SD**2 + float(x @ x) / variance
        slope = (_PRIOR_SLOPE / _PRIOR_SLOPE_SD**2 + float(x @ y) / variance) / precision
        return cls(short_bend, top_bend, max(0.0, slope))

    def expected(self, iou: float) -> float:
        """The expected IoU at the top of a placement with this IoU at the rung."""
        return self.top.iou(self.slope * float(self.short.scores(np.array([iou]))[0]))


@dataclass(frozen=True)
class Bend:
    """A scale that is linear down to two spreads below the middle, and logarithmic below.

    A run that has learned nothing lies tens of points below the others, and a linear model would use up its
    effects to explain it.

    Args:
        middle: the IoU of score 0.
        spread: the difference in IoU of one unit of the score.
    """

    middle: float
    spread: float

    @classmethod
    def of(cls, ious: Array) -> Bend:
        """Fit the scale to the median and the quartiles of the finite values; 0 and 1 if there are none.

        Shape: (n,).
        """
        known = ious[np.isfinite(ious)]
        if not len(known):
            return cls(0.0, 1.0)
        low, middle, high = np.quantile(known, (0.25, 0.5, 0.75))
        return cls(float(middle), max(float(high - low) / 1.35, _LEAST_SPREAD))

    def scores(self, ious: Array) -> Array:
        """Shape: (n,) -> (n,); nan stays nan."""
        scores: Array = (ious - self.middle) / self.spread
        far = scores < -_BEND
        scores[far] = -_BEND - np.log1p(-scores[far] - _BEND)
        return scores

    def iou(self, score: float) -> float:
        """The IoU of a score: the inverse of ``scores``."""
        straight = score if score >= -_BEND else -_BEND - math.expm1(-score - _BEND)
        return self.middle + self.spread * straight


def _is_proven(records: Sequence[TrialRecord], ladder: tuple[Budget, ...]) -> bool:
    """Whether the twins validate the first rung, as long as all placements together do not refute it."""
    proof = twins(records, ladder)
    if proof is None or proof.n_placements < LEAST_TWINS or proof.interval is None or proof.interval.low <= 0:
        return False
    known = compared_rungs(records, ladder[0], ladder[-1])
    return known is None or known.interval is None or known.interval.high >= LEAST_CORRELATION


def _is_useless(rung: RungFidelity) -> bool:
    """Whether a rung is useless. If the noise of the longer runs is not known, this takes certainty, or twice as
    many placements."""
    if rung.n_placements < LEAST_PLACEMENTS:
        return False
    if rung.attainable is not None:
        return rung.correlation < LEAST_CORRELATION * rung.attainable
    if rung.interval is not None and rung.interval.high < LEAST_CORRELATION:
        return True
    return rung.n_placements >= 2 * LEAST_PLACEMENTS and rung.correlation < LEAST_CORRELATION


def _translated(record: TrialRecord, relation: Relation | None) -> TrialRecord:
    if relation is None or record.outcome is None:
        return record
    score = replace(record.outcome.score, iou=relation.expected(record.outcome.score.iou))
    return replace(record, outcome=replace(record.outcome, score=score))


def _cells(records: Sequence[TrialRecord], budget: Budget) -> dict[tuple[Placement, int], float]:
    return {
        (record.placement, record.seed): record.outcome.score.iou
        for record in records
        if record.budget == budget and record.outcome is not None
    }
