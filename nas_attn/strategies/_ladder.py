"""A strategy on a ladder of budgets: new placements begin on the lowest rung, promising ones climb."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

from nas_attn.budget import Budget
from nas_attn.placement import Placement
from nas_attn.ranking import ladder_fidelity
from nas_attn.record import Role, TrialRecord
from nas_attn.strategies._contract import Proposal, Question, Strategy
from nas_attn.strategies._luck import freed
from nas_attn.strategies._rungs import Relation, Rungs

REDUCTION = 3
"""Of so many placements on a rung one is promoted."""
LEAST_PROBABILITY = 0.001
"""What enters the front with a smaller probability is not promoted, even if it is the best of its rung."""
LEAST_CORRELATION = 0.4
LEAST_PLACEMENTS = 8
"""With fewer placements on both rungs a rank correlation is not judged."""


@dataclass(frozen=True)
class Step:
    """The evaluation to make next.

    Args:
        proposal: the placement.
        budget: a rung of the ladder.
        seed: of the run that is repeated on a higher rung; None for a new placement, which takes any.
    """

    proposal: Proposal
    budget: Budget
    seed: int | None = None


def next_step(
    strategy: Strategy, question: Question, ladder: tuple[Budget, ...], running: Sequence[TrialRecord]
) -> Step | None:
    """Promote a placement, or try a new one.

    As in successive halving (Jamieson and Talwalkar 2016, arXiv:1502.07943) without waiting (Li et al. 2020,
    arXiv:1810.05934) a third of a rung is promoted; which third is decided by the probability of entering the
    front at the placement's cost, which is known exactly.

    Args:
        strategy: proposes what is new.
        question: with the finished evaluations of all rungs, at their own IoU.
        ladder: budgets, the shortest first.
        running: evaluations whose results are not known yet.
    Returns:
        None where nothing is left to promote or to try.
    """
    if len(ladder) == 1:
        proposal = strategy(question)
        return None if proposal is None else Step(proposal, ladder[0])
    question = replace(question, records=freed(question.records))
    climb = _Climb(question, ladder, running, Rungs.learn(question.records, ladder))
    lowest = lowest_rung(question.records, ladder)
    if (promoted := climb.promotion(lowest, due=True)) is not None:
        return promoted
    if (proposal := strategy(climb.translated)) is not None:
        return Step(proposal, ladder[lowest])
    return climb.promotion(lowest, due=False)


def lowest_rung(records: Iterable[TrialRecord], ladder: tuple[Budget, ...]) -> int:
    """The number of the rung on which new placements begin, from 0.

    The first whose order foretells the next rung's: a rank correlation of at least ``LEAST_CORRELATION``, or not
    known yet.

    Args:
        records: finished evaluations.
        ladder: budgets, the shortest first.
    """
    useless = {
        rung.lower
        for rung in ladder_fidelity(record for record in records if record.budget in ladder)
        if rung.n_placements >= LEAST_PLACEMENTS and rung.correlation < LEAST_CORRELATION
    }
    return next(index for index, budget in enumerate(ladder) if budget not in useless)


@dataclass(frozen=True, eq=False)
class _Climb:
    question: Question
    ladder: tuple[Budget, ...]
    running: Sequence[TrialRecord]
    rungs: Rungs

    @property
    def translated(self) -> Question:
        """The question with every placement's IoU as the top would show it."""
        records = self.rungs.at_the_top(self.question.records)
        return replace(self.question, records=records, share=lambda record: self.rungs.share(record.budget))

    def promotion(self, lowest: int, *, due: bool) -> Step | None:
        """The most promising placement of the highest rung from which one can be promoted.

        Args:
            lowest: the rung on which new placements begin.
            due: only where the rung above has less than its share.
        """
        for below in reversed(range(lowest, len(self.ladder) - 1)):
            lower, upper = self.ladder[below], self.ladder[below + 1]
            started = self._placements(self.question.records, upper) | self._placements(self.running, upper)
            finished = self._placements(self.question.records, lower)
            if due and len(finished) < REDUCTION * (len(started) + 1):
                continue
            if (best := self._most_promising(lower, started)) is not None:
                return Step(Proposal(best.placement), upper, best.seed)
        return None

    def _most_promising(self, lower: Budget, started: Collection[Placement]) -> TrialRecord | None:
        relation = self.rungs.relations[lower]
        runs = {
            record.placement: record
            for record in sorted(self.question.records, key=lambda record: record.number)
            if record.budget == lower
            and record.role is Role.PROPOSAL
            and record.outcome is not None
            and record.placement not in started
        }
        chances = {placement: self._probability(relation, record) for placement, record in runs.items()}
        best = max(chances, key=lambda placement: chances[placement], default=None)
        return runs[best] if best is not None and chances[best] >= LEAST_PROBABILITY else None

    def _probability(self, relation: Relation, record: TrialRecord) -> float:
        """That a placement has a higher IoU at the top than all that cost no more."""
        assert record.outcome is not None
        cost = self.question.cost(record.placement)
        rivals = [iou for dear, iou in self._top if dear <= cost]
        return relation.probability(record.outcome.score.iou, max(rivals)) if rivals else 1.0

    @cached_property
    def _top(self) -> list[tuple[float, float]]:
        """Cost and mean IoU of what ran at the top."""
        runs: dict[Placement, list[float]] = {}
        for record in self.question.records:
            if record.budget == self.ladder[-1] and record.outcome is not None:
                runs.setdefault(record.placement, []).append(record.outcome.score.iou)
        return [(self.question.cost(placement), fmean(ious)) for placement, ious in runs.items()]

    def _placements(self, records: Iterable[TrialRecord], budget: Budget) -> set[Placement]:
        """The strategy's own on a rung; controls run on all of them anyway."""
        return {record.placement for record in records if record.budget == budget and record.role is Role.PROPOSAL}
