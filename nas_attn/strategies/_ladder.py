"""A strategy on a ladder of budgets: new placements begin on the lowest rung, promising ones climb."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from nas_attn.budget import Budget
from nas_attn.placement import Placement
from nas_attn.ranking import RungFidelity, ladder_fidelity
from nas_attn.record import Role, TrialRecord
from nas_attn.strategies._bend import Array
from nas_attn.strategies._contract import Proposal, Question, Strategy
from nas_attn.strategies._expectation import learned
from nas_attn.strategies._luck import freed
from nas_attn.strategies._rungs import Rungs
from nas_attn.strategies._seeds import array_generator, generator

DRAWS = 64
"""Of the posterior, by which the placements to promote are chosen."""
BY_LOT = 3
"""One of so many promotions is drawn by lot: what short runs are worth is seen on placements that they did not
choose, and what they do not see at all has a chance."""
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
    strategy: Strategy,
    question: Question,
    ladder: tuple[Budget, ...],
    running: Sequence[TrialRecord],
    *,
    only_promote: bool = False,
) -> Step | None:
    """Promote a placement, or try a new one.

    Each rung takes as much compute as the next: as in successive halving (Jamieson and Talwalkar 2016,
    arXiv:1502.07943) without waiting (Li et al. 2020, arXiv:1810.05934), of the placements on a rung of a third of
    the steps a third is promoted. Which third is decided by the probability of entering the front at the
    placement's cost, which is known exactly; one of ``BY_LOT`` is drawn by lot.

    Args:
        strategy: proposes what is new.
        question: with the finished evaluations of all rungs, at their own IoU.
        ladder: budgets, the shortest first.
        running: evaluations whose results are not known yet.
        only_promote: a placement that is new now would not reach the top any more.
    Returns:
        None where nothing is left to promote or to try.
    """
    if len(ladder) == 1:
        proposal = strategy(question)
        return None if proposal is None else Step(proposal, ladder[0])
    climb = _Climb(replace(question, ladder=ladder, shown=question.records), running)
    lowest = lowest_rung(question.records, ladder)
    if (promoted := climb.promotion(lowest, due=not only_promote)) is not None:
        return promoted
    if (proposal := strategy(climb.translated(lowest))) is not None:
        return Step(proposal, ladder[lowest])
    return climb.promotion(lowest, due=False)


def lowest_rung(records: Iterable[TrialRecord], ladder: tuple[Budget, ...]) -> int:
    """The number of the rung on which new placements begin, from 0.

    The first whose order foretells the next rung's: a rank correlation of at least ``LEAST_CORRELATION`` of what
    can be had, or not known yet.

    Args:
        records: finished evaluations.
        ladder: budgets, the shortest first.
    """
    rungs = ladder_fidelity(record for record in records if record.budget in ladder)
    useless = {rung.lower for rung in rungs if _is_useless(rung)}
    return next(index for index, budget in enumerate(ladder) if budget not in useless)


def _is_useless(rung: RungFidelity) -> bool:
    """Where the noise of the longer runs is not known, it takes certainty, or twice as many placements."""
    if rung.n_placements < LEAST_PLACEMENTS:
        return False
    if rung.attainable is not None:
        return rung.correlation < LEAST_CORRELATION * rung.attainable
    if rung.interval is not None and rung.interval.high < LEAST_CORRELATION:
        return True
    return rung.n_placements >= 2 * LEAST_PLACEMENTS and rung.correlation < LEAST_CORRELATION


@dataclass(frozen=True, eq=False)
class _Climb:
    """A search between two evaluations.

    Args:
        question: with the ladder, and the runs of all rungs at their own IoU.
        running: evaluations whose results are not known yet.
    """

    question: Question
    running: Sequence[TrialRecord]

    def translated(self, lowest: int) -> Question:
        """The question with every placement's IoU as the top would show it.

        Args:
            lowest: the rung on which new placements begin; what ran on those below it only is new once more.
        """
        records = freed(self.question.shown)
        rungs = Rungs.learn(records, self.question.ladder)
        known = self.question.known
        if lowest > 0:
            begun = self.question.ladder[lowest:]
            known = {record.placement for record in self.question.shown if record.budget in begun}
        return replace(self.question, records=rungs.at_the_top(records), known=known)

    def promotion(self, lowest: int, *, due: bool) -> Step | None:
        """The most promising placement of the highest rung from which one can be promoted.

        Args:
            lowest: the rung on which new placements begin.
            due: only where the rung above has had less compute than this one.
        """
        for lower, upper in reversed(list(pairwise(self.question.ladder[lowest:]))):
            started = self._placements(self.question.shown, upper) | self._placements(self.running, upper)
            finished = self._placements(self.question.shown, lower)
            if due and len(finished) * lower.steps < (len(started) + 1) * upper.steps:
                continue
            runs = self._candidates(lower, started)
            if due and runs and len(started) % BY_LOT == BY_LOT - 1:
                chosen = runs[generator(self.question).choice(list(runs))]
                return Step(Proposal(chosen.placement), upper, chosen.seed)
            if (best := self._most_promising(runs)) is not None:
                return Step(Proposal(best.placement), upper, best.seed)
        return None

    def _candidates(self, lower: Budget, started: Collection[Placement]) -> dict[Placement, TrialRecord]:
        """The first complete run on a rung of each placement that has not begun on the next."""
        return {
            record.placement: record
            for record in sorted(self.question.shown, key=lambda record: -record.number)
            if record.budget == lower
            and record.role is Role.PROPOSAL
            and record.outcome is not None
            and record.placement not in started
        }

    def _most_promising(self, runs: Mapping[Placement, TrialRecord]) -> TrialRecord | None:
        """The run of the placement that enters the front most probably; None where none has a chance."""
        if not runs:
            return None
        chances, expected = self._chances()
        best = max(runs, key=lambda placement: (chances[placement], expected[placement]))
        return runs[best] if chances[best] > 0 else None

    def _chances(self) -> tuple[dict[Placement, float], dict[Placement, float]]:
        """Of all that ran, on any rung: the probability of lying on their front, and the score to expect, at the
        top."""
        ran = dict.fromkeys(record.placement for record in self.question.shown if record.outcome is not None)
        effects, encoding = learned(self.question)
        draws = effects.draws(encoding.encode(ran), DRAWS, array_generator(self.question))
        costs = np.array([self.question.cost(placement) for placement in ran])
        on_front = (draws >= _best_within(draws, costs)).mean(0)
        return dict(zip(ran, on_front.tolist(), strict=True)), dict(zip(ran, draws.mean(0).tolist(), strict=True))

    def _placements(self, records: Iterable[TrialRecord], budget: Budget) -> set[Placement]:
        """The strategy's own on a rung; controls run on all of them anyway."""
        return {record.placement for record in records if record.budget == budget and record.role is Role.PROPOSAL}


def _best_within(scores: Array, costs: Array) -> Array:
    """The highest score of all that cost no more than each, itself included: (draws, m), (m,) -> (draws, m)."""
    order = np.argsort(costs)
    last = np.searchsorted(costs[order], costs, side="right") - 1
    best: Array = np.maximum.accumulate(scores[:, order], axis=1)[:, last]
    return best
