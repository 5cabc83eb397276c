"""What the next trial of a study is: a pure function of the trials before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from nas_attn.evaluate import CostTable
from nas_attn.placement import Placement
from nas_attn.record import Role, TrialRecord
from nas_attn.strategies import STRATEGIES, Question
from nas_attn.study.controls import control_evaluations
from nas_attn.study.evaluation import Evaluation
from nas_attn.study.finalists import next_finalist
from nas_attn.study.settings import StudySettings


class Agenda:
    """First the controls, then proposals of the strategy, then the finalists' further seeds.

    Args:
        settings: of the study.
        costs: exact costs of the network's placements.
    """

    def __init__(self, settings: StudySettings, costs: CostTable) -> None:
        self._settings = settings
        self._costs = costs

    def reaching(self, trials: int) -> Agenda:
        """The agenda of the same study with another number of trials in the end."""
        if trials == self._settings.trials:
            return self
        return Agenda(replace(self._settings, trials=trials), self._costs)

    def next(self, records: Sequence[TrialRecord], pending: Sequence[TrialRecord]) -> Evaluation:
        """The evaluation of the trial that follows.

        Args:
            records: all trials that may be looked at: finished, numbered from 0 without gaps.
            pending: the trials after them, whose results must not be looked at, finished or not.
        """
        started = [*records, *pending]
        n_controls = sum(record.role is Role.CONTROL for record in started)
        if n_controls < len(self.controls):
            return self.controls[n_controls]
        n_proposals = sum(record.role is Role.PROPOSAL for record in started)
        if n_proposals < self.n_proposals and (proposal := self._propose(records, pending)):
            return proposal
        settings = self._settings
        return next_finalist(
            records,
            pending,
            plain=settings.space.plain,
            budget=settings.budget,
            seed=settings.seed,
            cost=settings.cost,
            n_finalist_trials=max(self.n_finalists, settings.trials - len(self.controls) - n_proposals),
        )

    def is_control(self, number: int) -> bool:
        """Whether the trial of that number is a control: decided before any other has finished."""
        return number < len(self.controls)

    @cached_property
    def controls(self) -> tuple[Evaluation, ...]:
        """The evaluations that come first."""
        settings = self._settings
        return control_evaluations(settings.space, settings.budget, settings.seed, self.allowed)

    @property
    def n_controls(self) -> int:
        """How many trials are controls."""
        return min(len(self.controls), self._settings.trials)

    @property
    def n_finalists(self) -> int:
        """How many trials repeat leading placements."""
        wanted = round(self._settings.finalists * self._settings.trials)
        return min(wanted, self._settings.trials - self.n_controls)

    @property
    def n_proposals(self) -> int:
        """How many trials the strategy fills, as long as it finds something new."""
        return self._settings.trials - self.n_controls - self.n_finalists

    def allowed(self, placement: Placement) -> bool:
        """Whether a placement keeps the limits of the space."""
        limits = self._settings.space.limits
        return not limits.reasons(self._costs(placement), self._costs.plain)

    def known_cost(self, placement: Placement) -> float:
        """The objective's cost where it is known without a measurement, else the MACs in its place."""
        cost = self._costs(placement)
        return float(cost.parameters if self._settings.cost == "parameters" else cost.macs)

    def _propose(self, records: Sequence[TrialRecord], pending: Sequence[TrialRecord]) -> Evaluation | None:
        settings = self._settings
        question = Question(
            space=settings.space,
            records=tuple(record for record in records if record.budget == settings.budget),
            pending=tuple(record.placement for record in pending if record.budget == settings.budget),
            number=len(records) + len(pending),
            seed=settings.seed,
            cost=self.known_cost,
            objective_cost=settings.cost,
            allowed=self.allowed,
        )
        proposal = STRATEGIES[settings.strategy](question)
        if proposal is None:
            return None
        return Evaluation(
            proposal.placement, settings.budget, settings.seed, Role.PROPOSAL, memory=proposal.memory
        )
