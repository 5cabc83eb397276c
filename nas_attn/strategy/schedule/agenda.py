"""Decide the next trial of a study, as a pure function of the trials before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cached_property, lru_cache
from itertools import count, islice, takewhile
from statistics import fmean

from nas_attn.analysis import COSTS, collapsed_seeds
from nas_attn.analysis.detection import n_places
from nas_attn.analysis.settled import Settled
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, Role, TrialRecord
from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.evaluation import Evaluation, run_key
from nas_attn.strategy.question import Question
from nas_attn.strategy.schedule.budget_search import BudgetSearch, Doublings
from nas_attn.strategy.schedule.finals import Finals, Screened
from nas_attn.strategy.schedule.history import Fits, History
from nas_attn.strategy.schedule.looks import Looks
from nas_attn.strategy.schedule.opening import Course, compared_references, n_common_seeds
from nas_attn.strategy.schedule.reference_architectures import PLAIN, reference_evaluations
from nas_attn.strategy.schedule.turns import affordable_proposals, turn
from nas_attn.strategy.settings import Plan, StudySettings
from nas_attn.strategy.successive_halving import next_step
from nas_attn.training.evaluation import CostTable, MemoryTable


class Agenda:
    """The order of trials: the search for the top budget (if it is not given), the reference architectures, the
    proposals of the strategy, and the finals, in which finalists run with further seeds.

    Args:
        settings: of the study.
        costs: exact costs of the network's placements.
    """

    def __init__(self, settings: StudySettings, costs: CostTable) -> None:
        self._settings = settings
        self._costs = costs
        self._course_of = lru_cache(self._build_course)
        self._history_of = lru_cache(History)
        self._screened = Screened()
        self._searched: tuple[list[TrialRecord], BudgetSearch] | None = None
        self._looks, self._unseen = Looks(settings.plan()), settings.plan().unseen

    def with_plan(self, plan: Plan) -> Agenda:
        """The agenda of the same study for another plan."""
        settings = replace(self._settings, **asdict(plan))
        return self if settings == self._settings else Agenda(settings, self._costs)

    def next(self, records: Sequence[TrialRecord], pending: Sequence[TrialRecord]) -> Evaluation | None:
        """The next evaluation; None if the study is over.

        Args:
            records: the visible trials: finished, and numbered from 0 without gaps.
            pending: the trials after them, finished or not, whose results must not be used.
        """
        settings, begun = self._settings, [*records, *pending]
        if self.is_over(records, len(begun)):
            return None
        if (course := self.course(begun)) is None:
            return self._probe(begun)
        if (opening := self._unopened(course, begun)) is not None:
            return opening
        history = self._history_of(course.ladder, self.memory)
        history.follow(records)
        if (common := self._common(course, history, pending)) is not None:
            return common
        final = Finals(
            settings.trials, settings.timeout, self._looks.finals_pay(records, len(begun)), self._screened
        )
        n_proposals = history.n_proposals + sum(record.role is Role.PROPOSAL for record in pending)
        time_left = settings.timeout is None or self.spent(records, len(pending)) < self._proposal_seconds
        if (
            time_left
            and not final.early
            and not final.begun(begun)
            and n_proposals < self.n_proposals(course)
            and (following := self._screen(course, history, records, pending, n_proposals))
        ):
            return following
        n_before = sum(not final.holds(record) for record in begun)
        return final.next(
            records,
            pending,
            plain=settings.space.plain,
            ladder=course.ladder,
            cost=settings.cost,
            n_trials=self._n_finals(course, settings.trials - n_before, records),
            worth=settings.worth,
        )

    def is_over(self, records: Sequence[TrialRecord], n_started: int) -> bool:
        """Whether no further trial starts: the study has its trials, its time is up, or its question is settled.

        Args:
            records: all trials that may be used, at least the visible ones.
            n_started: number of all trials.
        """
        timeout, n_running = self._settings.timeout, n_started - len(records)
        if n_started >= self._settings.trials or (
            timeout is not None and self.spent(records, n_running) >= timeout
        ):
            return True
        return self.settled_after(records, n_started) is not None

    def settled_after(self, records: Sequence[TrialRecord], n_started: int) -> Settled | None:
        """How the question was settled, and after how many trials; None if it is open.

        Args:
            records: all trials that may be used, at least the visible ones.
            n_started: number of all trials.
        """
        return self._looks.settled_after(records, n_started)

    def n_visible(self, records: Sequence[TrialRecord]) -> int:
        """Number of trials, counted from the first, that may influence the next one. These are all but the latest,
        which other workers may still be running. The latest count too if the trials before them settle the
        question.

        Args:
            records: all trials that were started.
        """
        n_ended = max(0, len(records) - self._unseen)
        return max(n_ended, self._looks.n_confirming(records[:n_ended], len(records)))

    def n_decisive(self, records: Sequence[TrialRecord]) -> int:
        """Number of trials, counted from the first, that must have ended before the next one can be decided: the
        visible ones, or none if the next one is fixed in advance.

        Args:
            records: all trials that were started.
        """
        n_visible = self.n_visible(records)
        if n_visible > max(0, len(records) - self._unseen):
            return n_visible
        course = self.course(records)
        if course is None:
            return len(records) if self._probe(records) is None else 0
        return n_visible if self._unopened(course, records) is None else 0

    def spent(self, records: Sequence[TrialRecord], n_running: int = 0) -> float:
        """Seconds of the trials, divided over the workers.

        Args:
            records: trials that have ended.
            n_running: number of other trials that were started; each counts as long as the latest of ``records``.
        """
        seconds = [record.outcome.seconds for record in records if record.outcome is not None]
        lately = fmean(seconds[-n_running:]) if n_running and seconds else 0.0
        return (sum(seconds) + n_running * lately) / self._settings.parallel

    def course(self, records: Sequence[TrialRecord]) -> Course | None:
        """The budgets and reference runs that the trials so far have settled; None while the top budget is being
        searched."""
        if not self._settings.find_budget:
            return self._course_of(self._settings.budget, 0)
        search = self._budget_search(records)
        # Once placements are proposed, no other worth, time or number of trials moves the budget.
        proposed = next((record.budget for record in records if record.role is Role.PROPOSAL), None)
        top = proposed or search.top
        if top is None:
            return None
        opening = {run_key(one) for one in self._course_of(top, 0).opening}
        probes = {run_key(one) for one in search.wanted} & {run_key(one) for one in records}
        settled = search.settled if search.top == top else None
        return self._course_of(top, len(probes - opening), settled=settled)

    def _probe(self, records: Sequence[TrialRecord]) -> Evaluation | None:
        """The next evaluation of the budget search; None if all of its evaluations have started.

        Args:
            records: all trials that were started.
        """
        begun = {run_key(one) for one in records}
        wanted = self._budget_search(records).wanted
        return next((one for one in wanted if run_key(one) not in begun), None)

    def _budget_search(self, records: Sequence[TrialRecord]) -> BudgetSearch:
        """The state of the budget search; computed once as long as the trials before the first proposal stay the
        same."""
        before = list(takewhile(lambda record: record.role is Role.REFERENCE, records))
        if self._searched is None or self._searched[0] != before:
            self._searched = before, self._doublings.search(before)
        return self._searched[1]

    @cached_property
    def _doublings(self) -> Doublings:
        course = self._course_of(self._settings.budget, 0)
        return Doublings(self._settings, course.plain, course.references())

    def n_references(self, course: Course) -> int:
        """Number of trials of reference architectures, including those that found the budget."""
        return min(course.n_references, self._settings.trials)

    def n_finalists(self, course: Course) -> int:
        """Number of trials in the finals."""
        wanted = round(self._settings.finalists * self._settings.trials)
        return min(wanted, self._settings.trials - self.n_references(course))

    def n_proposals(self, course: Course) -> int:
        """Number of proposals, as long as the strategy finds new placements."""
        before = self.n_references(course) + self.n_common + course.n_doubled
        left = self._settings.trials - before - self.n_finalists(course)
        return affordable_proposals(max(0, left), self._settings.screening_seeds)

    @property
    def n_common(self) -> int:
        """Number of trials that estimate the noise before the first proposal, in addition to those of every
        search."""
        n_seeds = n_common_seeds(self._settings.trials)
        return 2 * n_seeds + max(0, 1 + n_seeds - self._settings.n_screening_seeds)

    def allowed(self, placement: Placement) -> bool:
        """Whether a placement is within the ceilings of the space."""
        limits, cost, plain = self._settings.space.limits, self._costs(placement), self._costs.plain
        return not limits.reasons(cost, plain) and self._fast_enough(cost, plain)

    def _fast_enough(self, cost: Cost, plain: Cost) -> bool:
        """Whether a latency is below its ceiling. If latencies are only known after a measurement, all are."""
        ceiling = self._settings.max_latency
        if ceiling is None or cost.latency_ms is None:
            return True
        return cost.latency_ms <= ceiling.bound(plain.latency_ms)

    def memory(self, placement: Placement) -> int:
        """Estimated bytes of memory that a training step with this placement needs."""
        return self._memory(placement)

    def known_cost(self, placement: Placement) -> float:
        """The cost in the objective if it is known without a measurement, otherwise the MACs."""
        cost = self._costs(placement)
        known = COSTS[self._settings.cost](cost)
        return float(cost.macs if known is None else known)

    @cached_property
    def _memory(self) -> MemoryTable:
        return MemoryTable(self._settings.space.network, self._settings.budget, self._costs)

    def _allowed_by(self, history: History) -> Callable[[Placement], bool]:
        """Return a test whether a placement is within the ceilings and, as far as trials have shown, fits into
        memory."""
        ceiling = history.room.ceiling
        return self.allowed if ceiling is None else Fits(self.allowed, self.memory, ceiling)

    def _build_course(self, top: Budget, n_probes: int, *, settled: bool | None = None) -> Course:
        settings = self._settings
        ladder = settings.ladder_below(top)
        compared = ladder[:: len(ladder) - 1] if settings.on_proof and len(ladder) > 1 else ladder
        references = reference_evaluations(settings.space, compared, settings.seed, self.allowed)
        in_order = compared_references(references, top, self.known_cost)
        return Course(ladder, n_probes, references, in_order, settings.trials, settled)

    def _unopened(self, course: Course, records: Sequence[TrialRecord]) -> Evaluation | None:
        """The next evaluation that precedes the proposals in any case; None if all have started.

        A study that is extended gets the evaluations that it lacks. A study in its finals gets none.

        Args:
            course: of the study.
            records: all trials that were started.
        """
        settings = self._settings
        seeds = {one.seed for one in course.opening}
        with_them = (one for one in records if one.seed in seeds and one.role is not Role.PROPOSAL)
        begun = {run_key(one) for one in with_them}
        missing = (one for one in course.opening if run_key(one) not in begun)
        following = next(missing, None)
        finals = (Finals(settings.trials, settings.timeout, early) for early in (False, True))
        return None if following is None or any(one.begun(records) for one in finals) else following

    def _screening_seeds(self, history: History) -> tuple[int, ...]:
        """Seeds of the proposals, in order, without those with which the baseline collapsed."""
        collapsed = collapsed_seeds(history.plain_scores)
        usable = (seed for seed in count(self._settings.seed) if seed not in collapsed)
        return tuple(islice(usable, self._settings.n_screening_seeds))

    def _common(self, course: Course, history: History, pending: Sequence[TrialRecord]) -> Evaluation | None:
        """The next of the runs that estimate the noise."""
        begun = history.begun | {(record.placement, record.seed) for record in pending}
        return next((one for one in course.common(history.failed) if (one.placement, one.seed) not in begun), None)

    @property
    def _proposal_seconds(self) -> float:
        """Seconds after which the finals start."""
        return (1 - self._settings.finalists) * (self._settings.timeout or 0.0)

    def _n_finals(self, course: Course, n_left: int, records: Sequence[TrialRecord]) -> int:
        """Total number of trials in the finals: the remaining trials, or as many as fit into the remaining time.

        Args:
            course: of the study.
            n_left: number of trials without those before the finals.
            records: all trials that may be used.
        """
        timeout = self._settings.timeout
        if timeout is None:
            return n_left
        return min(n_left, max(2, self._n_full(timeout - self._proposal_seconds, course, records)))

    def _only_promote(
        self, course: Course, n_proposals: int, records: Sequence[TrialRecord], n_running: int
    ) -> bool:
        """Whether the remaining proposals, or the remaining time, only suffice for the places of the race."""
        n_left, n_finalists = self.n_proposals(course) - n_proposals, self.n_finalists(course)
        if self._settings.timeout is not None:
            time_left = self._proposal_seconds - self.spent(records, n_running)
            n_left = min(n_left, self._n_full(time_left, course, records))
            n_finalists = min(n_finalists, self._n_finals(course, n_finalists, records))
        return n_left <= n_places(n_finalists)

    def _n_full(self, seconds: float, course: Course, records: Sequence[TrialRecord]) -> int:
        """Number of runs at the top budget that fit into a time, judging by the runs that have ended."""
        outcomes = (record.outcome for record in records if record.budget == course.top)
        taken = [outcome.seconds for outcome in outcomes if outcome is not None]
        if not taken:
            return self._settings.trials
        return round(seconds * self._settings.parallel / max(1e-3, fmean(taken)))

    def _screen(
        self,
        course: Course,
        history: History,
        records: Sequence[TrialRecord],
        pending: Sequence[TrialRecord],
        n_proposals: int,
    ) -> Evaluation | None:
        """The strategy's proposal with the seed whose turn it is; for each seed, the baseline runs first."""
        settings, plain = self._settings, self._settings.space.plain
        new = {record.placement for record in pending if record.role is Role.PROPOSAL} - history.proposed
        seed = turn(len(history.proposed) + len(new), self._screening_seeds(history))
        ran = {record.seed for record in pending if record.placement == plain and record.budget == course.top}
        if seed not in ran | history.plain_seeds:
            return Evaluation(plain, course.top, seed, Role.REFERENCE, PLAIN)
        running = [record for record in pending if record.budget in course.ladder]
        question = Question(
            space=settings.space,
            records=tuple(history.records),
            pending=tuple(record.placement for record in running),
            number=len(records) + len(pending),
            seed=settings.seed,
            cost=self.known_cost,
            objective_cost=settings.cost,
            allowed=self._allowed_by(history),
            known=history.placements,
        )
        step = next_step(
            STRATEGIES[settings.strategy],
            question,
            course.ladder,
            running,
            only_promote=self._only_promote(course, n_proposals, records, len(pending)),
            on_proof=settings.on_proof,
        )
        if step is None:
            return None
        proposal, seed = step.proposal, seed if step.seed is None else step.seed
        return Evaluation(proposal.placement, step.budget, seed, Role.PROPOSAL, memory=proposal.memory)
