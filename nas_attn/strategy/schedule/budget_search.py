"""Find a budget that is long enough, by doubling it until differences between placements have settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nas_attn.analysis.convergence import LEAST_GAIN, MOST_BY_CHANCE
from nas_attn.analysis.detection import default_worth
from nas_attn.analysis.doubling import doubling_of
from nas_attn.analysis.evidence import Evidence
from nas_attn.budget import Budget
from nas_attn.record import Role, State, TrialRecord
from nas_attn.strategy.evaluation import Evaluation, RunKey, run_key
from nas_attn.strategy.schedule.opening import PROBED, n_doubled_seeds
from nas_attn.strategy.settings import StudySettings

MOST_DOUBLINGS = 7
"""If 128 times the first budget still gains, that budget is used."""
MOST_NOISE = 0.02
"""In IoU; if seeds differ by more, some runs have not yet learned the task."""
MOST_SECONDS = 12 * 3600.0
"""Default time limit of a search, which bounds the doubling of its budget."""
LEAST_TRIALS = 100
"""A search that is limited only by time has to have time for this many trials."""


@dataclass(frozen=True)
class TimeLimit:
    """The time that a search may take.

    Args:
        seconds: in total.
        n_trials: for which there has to be time.
        parallel: number of parallel trials.
    """

    seconds: float
    n_trials: int
    parallel: int

    @classmethod
    def of(cls, settings: StudySettings) -> TimeLimit:
        """The limit of a search with these settings."""
        if settings.timeout is None:
            return cls(MOST_SECONDS, settings.trials, settings.parallel)
        return cls(settings.timeout, min(settings.trials, LEAST_TRIALS), settings.parallel)

    def allows(self, budget: Budget, ended: Sequence[TrialRecord]) -> bool:
        """Whether there is time for the trials of a budget, judging by the speed of others.

        Args:
            budget: of each trial.
            ended: trials, of any budgets.
        """
        outcomes = [(one.outcome, one.budget.steps) for one in ended if one.outcome is not None]
        steps = sum(steps for _, steps in outcomes)
        if not steps:
            return True
        per_step = sum(outcome.seconds for outcome, _ in outcomes) / steps
        return self.n_trials * budget.steps * per_step / self.parallel <= self.seconds


@dataclass
class BudgetSearch:
    """The state of a search for the budget.

    Args:
        wanted: all evaluations that it has asked for, in order.
        top: the budget that it has found; None if more trials are needed.
        settled: whether doubling ``top`` changes no difference by as much as matters; False if time or doublings
            ran out before.
    """

    wanted: list[Evaluation] = field(default_factory=list)
    top: Budget | None = None
    settled: bool = False


@dataclass(frozen=True)
class Doublings:
    """The rule by which the budget is doubled: first with the baseline alone, as long as a doubling gains more
    than five points, then also with the compared reference architectures and some seeds each. A tiny study can
    only afford the baseline's curve.

    Args:
        settings: of the study, with the budget at which the doubling starts.
        plain: the baseline's run with the first seed.
        references: runs of the compared reference architectures with this seed.
    """

    settings: StudySettings
    plain: Evaluation
    references: Sequence[Evaluation]

    def search(self, records: Sequence[TrialRecord]) -> BudgetSearch:
        """The state of the search, as a function of the trials that it has asked for, once these have ended.

        Args:
            records: of the study that were started, in order.
        """
        found, by_key = BudgetSearch(), {run_key(record): record for record in reversed(records)}
        limit, settled_before = TimeLimit.of(self.settings), False
        for number in range(1, MOST_DOUBLINGS + 1):
            lower, upper = self._level(number - 1), self._level(number)
            if not _ended([self._run(self.plain, one, 0) for one in (lower, upper)], found, by_key):
                return found
            quiet, settled = False, False
            if not self._is_unfinished(lower, upper, by_key):
                if not _ended([*self._runs(lower), *self._runs(upper)], found, by_key):
                    return found
                quiet, settled = self._judge(lower, [by_key[run_key(one)] for one in found.wanted])
            sure = settled and (quiet or settled_before)
            ended = [by_key[run_key(one)] for one in found.wanted]
            if sure or number == MOST_DOUBLINGS or not limit.allows(upper, ended):
                found.top, found.settled = lower, settled
                return found
            settled_before = settled
        return found

    def _level(self, number: int) -> Budget:
        return replace(self.settings.budget, steps=self.settings.budget.steps * 2**number)

    def _run(self, one: Evaluation, budget: Budget, seed: int) -> Evaluation:
        return Evaluation(one.placement, budget, one.seed + seed, Role.REFERENCE, one.reference, memory=PROBED)

    def _runs(self, budget: Budget) -> list[Evaluation]:
        n_seeds = n_doubled_seeds(self.settings.trials)
        return [self._run(one, budget, seed) for seed in range(n_seeds) for one in (self.plain, *self.references)]

    def _is_unfinished(self, lower: Budget, upper: Budget, by_key: dict[RunKey, TrialRecord]) -> bool:
        """Whether the baseline gains so much by the doubling that nothing else counts, or fails."""
        runs = [by_key[run_key(self._run(self.plain, one, 0))].outcome for one in (lower, upper)]
        ious = [outcome.score.iou for outcome in runs if outcome is not None]
        return len(ious) < len(runs) or ious[1] - ious[0] > MOST_BY_CHANCE

    def _judge(self, lower: Budget, records: Sequence[TrialRecord]) -> tuple[bool, bool]:
        """Whether the seeds agree, and whether doubling the lower budget changes no difference by as much as
        matters."""
        upper = lower.doubled
        levels = [Evidence.of([one for one in records if one.budget == level]) for level in (lower, upper)]
        pairs = [evidence.noise.pair for evidence in levels]
        quiet = all(pair is not None and pair.sd <= MOST_NOISE for pair in pairs)
        if (doubling := doubling_of(records, lower)) is not None:
            worth = default_worth(levels[0].noise) if self.settings.worth is None else self.settings.worth
            return quiet, doubling.is_settled(worth)
        means = [one.mean(one.plain).value if one.plain is not None else 0.0 for one in levels]
        return True, means[1] - means[0] <= LEAST_GAIN


def _ended(wanted: Sequence[Evaluation], found: BudgetSearch, by_key: dict[RunKey, TrialRecord]) -> bool:
    """Ask for evaluations, and return whether all of them have ended."""
    asked = {run_key(one) for one in found.wanted}
    found.wanted += [one for one in wanted if run_key(one) not in asked]
    known = [by_key.get(run_key(one)) for one in wanted]
    return all(one is not None and one.state is not State.RUNNING for one in known)
