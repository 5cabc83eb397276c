"""The findings of a search's first runs, before any proposal: what it can detect, and whether its budget is long
enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas_attn.analysis import rank
from nas_attn.analysis.convergence import Convergence, plain_convergence
from nas_attn.analysis.detection import Sight
from nas_attn.analysis.result import Ranking
from nas_attn.record import State, TrialRecord
from nas_attn.reporting.progress.pace import Pace
from nas_attn.strategy.evaluation import Evaluation, run_key
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.strategy.schedule.budget_search import TimeLimit
from nas_attn.strategy.schedule.opening import Course
from nas_attn.strategy.settings import StudySettings
from nas_attn.wording.budgets import doubling_sentence, sight_sentence
from nas_attn.wording.numbers import duration, points


class FirstLook:
    """Call it with all records whenever one of them changes. It returns new findings."""

    def __init__(self, settings: StudySettings, agenda: Agenda, pace: Pace) -> None:
        self._settings, self._agenda, self._pace = settings, agenda, pace
        self._n_told = 0

    def __call__(self, records: Sequence[TrialRecord]) -> tuple[str, ...]:
        """The sentences that these records add; each is returned once."""
        if self._n_told == 2 or (course := self._agenda.course(records)) is None:
            return ()
        said: list[str] = []
        if self._n_told == 0 and have_ended(course.for_noise, records):
            said += self._sight(course, records)
            self._n_told = 1
        if self._n_told == 1 and have_ended(course.for_budget, records):
            said += self._budget(course, records)
            self._n_told = 2
        return tuple(said)

    def sight(self, records: Sequence[TrialRecord]) -> str | None:
        """What the search can detect; None if the noise is not known."""
        course = self._agenda.course(records)
        return None if course is None else next(self._sight(course, records), None)

    def _sight(self, course: Course, records: Sequence[TrialRecord]) -> Iterator[str]:
        settings, ranking = self._settings, self._ranking(course, records)
        if (pair := ranking.noise.pair) is None or not settings.finalists:
            return
        n_trials = self._pace.expected(records)
        sight = Sight(pair.sd, n_trials, settings.finalists, ranking.confidence)
        yield sight_sentence(
            sight,
            ranking.metric.word,
            worth=settings.worth,
            each=self._pace.each(records),
            workers=settings.parallel,
        )

    def _budget(self, course: Course, records: Sequence[TrialRecord]) -> Iterator[str]:
        noise = self._ranking(course, records).noise
        curve = plain_convergence(records, course.top, noise, self._settings.worth)
        if self._settings.find_budget:
            yield from self._found(course, records)
        if curve.doubling is not None and not curve.is_unfinished:
            yield doubling_sentence(curve)
        elif curve.converged is False and curve.gain is not None:
            yield f"Twice the {curve.steps} steps change the baseline by {points(curve.gain)}: not converged."
        if curve.converged is False and not self._settings.find_budget:
            yield self._way_out(curve, records)

    def _found(self, course: Course, records: Sequence[TrialRecord]) -> Iterator[str]:
        """The budget that was found and, if it is too short for lack of time, how much more time it takes."""
        steps, n_trials = course.top.steps, self._pace.expected(records)
        seconds = n_trials * self._pace.each(records) / self._settings.parallel
        yield f"Found: trials of {steps} steps; {n_trials} of them take about {duration(seconds)} here."
        if course.settled is not False:
            return
        limit = TimeLimit.of(self._settings)
        longer = duration(2 * seconds * limit.n_trials / n_trials)
        yield (
            f"Twice the steps still change the differences between placements. {limit.n_trials} trials of "
            f"{2 * steps} steps would take about {longer}, and the limit is {duration(limit.seconds)}: search "
            "again with --budget auto --as-new and a longer --timeout."
        )

    def _way_out(self, curve: Convergence, records: Sequence[TrialRecord]) -> str:
        """How long longer runs take, and how to ask for them."""
        steps, n_trials = 2 * curve.steps, self._pace.expected(records)
        each = 2 * self._pace.each(records) / self._settings.parallel
        return (
            f"This search continues, but will claim nothing. It needs {steps} steps or more: {n_trials} trials of "
            f"{steps} need about {duration(n_trials * each)} here. Stop it and search again with --steps {steps} "
            "--as-new, or with --budget auto --as-new, which finds how many it takes."
        )

    def _ranking(self, course: Course, records: Sequence[TrialRecord]) -> Ranking:
        """The ranking of the runs at the budget that is ranked."""
        return rank([one for one in records if one.budget == course.top], cost=self._settings.cost)


def have_ended(wanted: Sequence[Evaluation], records: Sequence[TrialRecord]) -> bool:
    """Whether all of some evaluations have ended; False if there are none."""
    ended = {run_key(one) for one in records if one.state is not State.RUNNING}
    return bool(wanted) and all(run_key(one) in ended for one in wanted)
