"""Successive halving without waiting: new placements start on the lowest rung, and promising ones are promoted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from nas_attn.analysis.images import Array
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Role, TrialRecord
from nas_attn.strategy.expectation import learned
from nas_attn.strategy.question import Proposal, Question, Strategy, array_generator, generator
from nas_attn.strategy.rungs import MOST_TWINS, at_the_top, lowest_rung
from nas_attn.strategy.seed_effects import freed

DRAWS = 128
"""Number of posterior draws by which the placements to promote are chosen."""
BY_LOT = 3
"""One of this many promotions is random. So the value of short runs is measured on placements that they did not
select, and placements that look bad in short runs have a chance."""


@dataclass(frozen=True)
class Step:
    """The next evaluation.

    Args:
        proposal: the placement.
        budget: a rung of the ladder.
        seed: of the run that is repeated on a higher rung; None for a new placement, which may take any seed.
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
    on_proof: bool = False,
) -> Step | None:
    """Promote a placement, or try a new one.

    Each rung gets as much compute as the next one. As in successive halving (Jamieson and Talwalkar 2016,
    arXiv:1502.07943) without waiting (Li et al. 2020, arXiv:1810.05934), a third of the placements on a rung with
    a third of the steps is promoted. The placements are selected by their probability of being on the Pareto front
    at their cost, which is known exactly; one of ``BY_LOT`` is random.

    On proof, placements run in full at first. Some of them then also run on the first rung, until it is shown to
    predict the top.

    Args:
        strategy: proposes new placements.
        question: with the finished evaluations of all rungs, at their own IoU.
        ladder: budgets, the shortest first.
        running: evaluations whose results are not known yet.
        only_promote: whether a new placement could no longer reach the top; then the placement with the best
            expectation among the short runs is promoted instead.
        on_proof: whether new placements start at the top until the first rung is shown to predict it.
    Returns:
        None if there is nothing left to promote or to try.
    """
    if len(ladder) == 1:
        proposal = strategy(question)
        return None if proposal is None else Step(proposal, ladder[0])
    climb = _Climb(replace(question, ladder=ladder, shown=question.records), running)
    lowest = lowest_rung(question.records, ladder, on_proof=on_proof)
    if on_proof and lowest > 0 and not only_promote and (twin := climb.twin()) is not None:
        return twin
    if (promoted := climb.promotion(lowest, due=not only_promote, without_chance=only_promote)) is not None:
        return promoted
    if (proposal := strategy(climb.translated(lowest))) is not None:
        return Step(proposal, ladder[lowest])
    return climb.promotion(lowest, due=False)


@dataclass(frozen=True, eq=False)
class _Climb:
    """The state of a search between two evaluations.

    Args:
        question: with the ladder, and the runs of all rungs at their own IoU.
        running: evaluations whose results are not known yet.
    """

    question: Question
    running: Sequence[TrialRecord]

    def translated(self, lowest: int) -> Question:
        """The question with every placement's expected IoU at the top.

        Args:
            lowest: the rung on which new placements start; placements that only ran below it count as new again.
        """
        records = at_the_top(freed(self.question.shown), self.question.ladder)
        known = self.question.known
        if lowest > 0:
            begun = self.question.ladder[lowest:]
            known = {record.placement for record in self.question.shown if record.budget in begun}
        return replace(self.question, records=records, known=known)

    def twin(self) -> Step | None:
        """The first rung's run of a placement that ran at the top; None if there are enough of them."""
        first, top = self.question.ladder[0], self.question.ladder[-1]
        begun = {record.placement for record in (*self.question.shown, *self.running) if record.budget == first}
        at_the_top = self._candidates(top, begun)
        if not at_the_top or len(begun) >= MOST_TWINS:
            return None
        earliest = min(at_the_top.values(), key=lambda record: record.number)
        return Step(Proposal(earliest.placement), first, earliest.seed)

    def promotion(self, lowest: int, *, due: bool, without_chance: bool = False) -> Step | None:
        """The most promising placement on the highest rung from which one can be promoted.

        Args:
            lowest: the rung on which new placements start.
            due: whether the rung above must have had less compute than this one.
            without_chance: whether a placement may be promoted that is on the front in no posterior draw.
        """
        for lower, upper in reversed(list(pairwise(self.question.ladder[lowest:]))):
            started = self._placements(self.question.shown, upper) | self._placements(self.running, upper)
            finished = self._placements(self.question.shown, lower)
            if due and len(finished) * lower.steps < (len(started) + 1) * upper.steps:
                continue
            runs = self._candidates(lower, started | self._begun_at_the_top)
            if due and runs and len(started) % BY_LOT == BY_LOT - 1:
                chosen = runs[generator(self.question).choice(list(runs))]
                return Step(Proposal(chosen.placement), upper, chosen.seed)
            if (best := self._most_promising(runs, without_chance)) is not None:
                return Step(Proposal(best.placement), upper, best.seed)
        return None

    def _candidates(self, rung: Budget, others: Collection[Placement]) -> dict[Placement, TrialRecord]:
        """The strategy's first complete run of each placement on a rung, except of ``others``."""
        return {
            record.placement: record
            for record in sorted(self.question.shown, key=lambda record: -record.number)
            if record.budget == rung
            and record.role is Role.PROPOSAL
            and record.outcome is not None
            and record.placement not in others
        }

    def _most_promising(self, runs: Mapping[Placement, TrialRecord], without_chance: bool) -> TrialRecord | None:
        """The run of the placement with the highest probability of entering the front; None if none has a chance,
        unless ``without_chance``."""
        if not runs:
            return None
        chances, expected = self._chances()
        best = max(runs, key=lambda placement: (chances[placement], expected[placement]))
        return runs[best] if chances[best] > 0 or without_chance else None

    def _chances(self) -> tuple[dict[Placement, float], dict[Placement, float]]:
        """For all placements that ran on any rung: the probability of being on the front, and the expected score,
        at the top."""
        ran = dict.fromkeys(record.placement for record in self.question.shown if record.outcome is not None)
        gains, rows = learned(self.question)
        draws = gains.draws([rows[placement] for placement in ran], DRAWS, array_generator(self.question))
        costs = np.array([self.question.cost(placement) for placement in ran])
        on_front = (draws >= _best_within(draws, costs)).mean(0)
        return dict(zip(ran, on_front.tolist(), strict=True)), dict(zip(ran, draws.mean(0).tolist(), strict=True))

    def _placements(self, records: Iterable[TrialRecord], budget: Budget) -> set[Placement]:
        """The strategy's own placements that climb and have reached a rung, without reference architectures, which
        run on all rungs."""
        return {
            record.placement
            for record in records
            if record.budget == budget
            and record.role is Role.PROPOSAL
            and record.placement not in self._begun_at_the_top
        }

    @cached_property
    def _begun_at_the_top(self) -> set[Placement]:
        """Placements that started at the top. They cannot climb; their short runs only measure how well such runs
        predict."""
        first: dict[Placement, Budget] = {}
        for record in sorted((*self.question.shown, *self.running), key=lambda record: record.number):
            first.setdefault(record.placement, record.budget)
        return {placement for placement, budget in first.items() if budget == self.question.ladder[-1]}


def _best_within(scores: Array, costs: Array) -> Array:
    """For each placement, the highest score among all that cost no more, itself included: (draws, m), (m,) ->
    (draws, m)."""
    order = np.argsort(costs)
    last = np.searchsorted(costs[order], costs, side="right") - 1
    best: Array = np.maximum.accumulate(scores[:, order], axis=1)[:, last]
    return best
