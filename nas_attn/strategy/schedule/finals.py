"""The finals: a fixed set of placements and the baseline run with the same fresh seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from nas_attn.analysis import Evidence, expected_ious, front_of
from nas_attn.analysis.detection import FINALISTS, FRESH_SEEDS, default_worth, n_places
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Role, TrialRecord
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.expectation import expected_ious as expected_on_ladder

FURTHER_SEEDS = FRESH_SEEDS
"""Fresh seeds of each finalist. Finalists that stay undecided get more if trials are left."""
MOST_PLACES = FINALISTS + 1
"""Places in the finals, including the baseline's: with more finalists, each would have to be further ahead."""
LEAST_FIELD = 3
"""Smallest field with which finals start early: the first two, and the best Pareto-optimal placement."""
_CONFIDENCE = 0.95
_MARK = "finals"


class Screened:
    """The evidence of the runs before the finals, computed once as long as these are the same runs."""

    def __init__(self) -> None:
        self._records: Sequence[TrialRecord] = ()
        self._evidence = Evidence.of(())

    def __call__(self, records: Sequence[TrialRecord]) -> Evidence:
        """The evidence of some runs."""
        if records != self._records:
            self._records, self._evidence = records, Evidence.of(records)
        return self._evidence


@dataclass(frozen=True)
class Finals:
    """The finals of a study for its plan when they started. A study that is extended gets new finals.

    Args:
        trials: of the study.
        timeout: of the study, in seconds; None if there is none.
        early: whether they started before all proposals were made, because a leader was expected to win. A study
            that does not stop continues with proposals instead.
        screened: the evidence of the runs before them.
    """

    trials: int
    timeout: float | None = None
    early: bool = False
    screened: Screened = field(default_factory=Screened, compare=False)

    def holds(self, record: TrialRecord) -> bool:
        """Whether a trial belongs to these finals."""
        return record.role is Role.FINALIST and record.memory.get(_MARK) == self._mark

    def begun(self, records: Sequence[TrialRecord]) -> bool:
        """Whether one of the trials belongs to these finals. If so, no more placements are proposed."""
        return any(self.holds(record) for record in reversed(records))

    def next(
        self,
        records: Sequence[TrialRecord],
        pending: Sequence[TrialRecord],
        *,
        plain: Placement,
        ladder: tuple[Budget, ...],
        cost: str,
        n_trials: int,
        worth: float | None = None,
    ) -> Evaluation:
        """The next run.

        The finalists are chosen one by one while the first fresh seed is run, by all runs except those of the
        finals. From then on, the field stays fixed, so a finalist's runs in the finals do not decide whether it is
        a finalist. All use the same seeds in the same order, and the baseline runs first, so all differences are
        paired. A seed with which the baseline collapses is replaced by the next one. After ``FURTHER_SEEDS``
        seeds, only finalists continue that are not significantly worse than the first.

        Finals that start early have a leader that is expected to win. They first run what decides soonest: the
        leader, and the placements that may still gain more than the leader by as much as matters. If that settles
        nothing within ``FURTHER_SEEDS`` seeds, the rest of the field follows with the same seeds.

        Args:
            records: finished trials that may be used.
            pending: trials whose results must not be used.
            plain: the baseline.
            ladder: budgets of the search, the shortest first; runs at the last one are compared.
            cost: the second objective.
            n_trials: total number of trials in the finals.
            worth: smallest gain that matters, in units of IoU; None takes ``default_worth``.
        """
        screening = [record for record in records if not self.holds(record)]
        runs = [record for record in (*records, *pending) if self.holds(record)]
        standing = _Standing.of(records, runs, plain, ladder[-1])

        def chosen(*, contending: bool) -> Placement | None:
            evidence = self.screened([record for record in screening if record.budget == ladder[-1]])
            following = next(_candidates(evidence, screening, standing, ladder, cost), None)
            if following is None or not contending or len(standing.members) < LEAST_FIELD:
                return following
            return following if _contends(evidence, following, standing.members[0], worth) else None

        lacks_members = len(standing.members) < n_places(n_trials) - 1
        if lacks_members and len(standing.seeds) == 1 and (member := chosen(contending=self.early)):
            return self._evaluation(member, ladder[-1], standing.seeds[0])
        members = standing.members if len(standing.seeds) <= FURTHER_SEEDS else standing.undecided()
        for seed in standing.seeds:
            for member in members:
                if (member, seed) not in standing.begun:
                    return self._evaluation(member, ladder[-1], seed)
        have_all_seeds = len(standing.seeds) == FURTHER_SEEDS
        if lacks_members and self.early and have_all_seeds and (member := chosen(contending=False)):
            return self._evaluation(member, ladder[-1], standing.seeds[0])
        following = 1 + max((record.seed for record in (*records, *pending)), default=-1)
        return self._evaluation(plain, ladder[-1], following)

    @property
    def _mark(self) -> list[float | str | None]:
        return [self.trials, self.timeout, *(["early"] if self.early else [])]

    def _evaluation(self, placement: Placement, budget: Budget, seed: int) -> Evaluation:
        return Evaluation(placement, budget, seed, Role.FINALIST, memory={_MARK: self._mark})


@dataclass(frozen=True, eq=False)
class _Standing:
    """The state of the finals.

    Args:
        members: the finalists, in the order in which they were chosen, without those that failed.
        excluded: placements that are or were in the finals, or that failed in this study.
        seeds: with which the baseline was started in the finals and has not collapsed, in order.
        begun: pairs of placement and seed that were started.
        evidence: of the finals and of the baseline's other runs.
    """

    members: tuple[Placement, ...]
    excluded: frozenset[Placement]
    seeds: tuple[int, ...]
    begun: frozenset[tuple[Placement, int]]
    evidence: Evidence

    @classmethod
    def of(
        cls, records: Sequence[TrialRecord], runs: Sequence[TrialRecord], plain: Placement, budget: Budget
    ) -> _Standing:
        """The state from all finished trials, and from all trials of the finals that were started."""
        failed = {record.placement for record in records if record.failure is not None}
        finalists = dict.fromkeys(run.placement for run in runs if run.placement.attended)
        seen = [
            r for r in records if r.budget == budget and (r.placement in finalists or not r.placement.attended)
        ]
        evidence = Evidence.of(seen)
        lost = {r.seed for r in seen if not r.placement.attended and r.failure is not None}
        if evidence.plain is not None:
            lost |= evidence.collapses.seeds | evidence.collapses.runs[evidence.plain]
        return cls(
            members=tuple(placement for placement in finalists if placement not in failed),
            excluded=frozenset({*finalists, *failed}),
            seeds=tuple(run.seed for run in runs if run.placement == plain and run.seed not in lost),
            begun=frozenset((run.placement, run.seed) for run in runs),
            evidence=evidence,
        )

    def undecided(self) -> tuple[Placement, ...]:
        """The finalists that are not significantly worse than the first of them."""
        rows = [row for row in (self.evidence.row_of(member) for member in self.members) if row is not None]
        if not rows:
            return self.members
        ious = expected_ious(self.evidence)
        best = max(rows, key=lambda row: ious[row])
        worse = {self.evidence.selected.runs[row].placement for row in rows if self._is_worse(row, best)}
        return tuple(member for member in self.members if member not in worse)

    def _is_worse(self, row: int, best: int) -> bool:
        if row == best or (estimate := self.evidence.difference(best, row)) is None:
            return False
        interval = self.evidence.together(estimate, _CONFIDENCE)
        return interval is not None and interval.low > 0


def _candidates(
    evidence: Evidence,
    screening: Sequence[TrialRecord],
    standing: _Standing,
    ladder: tuple[Budget, ...],
    cost: str,
) -> Iterator[Placement]:
    """Candidates for the next finalist, the best first: by expected IoU, and for every third place, the best
    Pareto-optimal placement."""
    placements = [run.placement for run in evidence.selected.runs]
    ious = _expected(evidence, placements, screening, ladder)
    open_ = [row for row, placement in enumerate(placements) if placement.attended]
    open_ = [row for row in open_ if placements[row] not in standing.excluded]
    by_front = len(standing.members) % 3 == 2
    front = front_of(evidence, ious, cost) if by_front else frozenset()
    for row in sorted(open_, key=lambda row: (row not in front, -ious[row], placements[row].id)):
        yield placements[row]


def _contends(evidence: Evidence, placement: Placement, leader: Placement, worth: float | None) -> bool:
    """Whether a placement may still gain more than the leader by as much as matters, given all runs before the
    finals."""
    row, first = evidence.row_of(placement), evidence.row_of(leader)
    if row is None or first is None:
        return True
    worth = default_worth(evidence.noise, _CONFIDENCE) if worth is None else worth
    ahead = float(evidence.gains.mean[row] - evidence.gains.mean[first])
    return ahead + NormalDist().inv_cdf(_CONFIDENCE) * evidence.gains.difference_sd(row, first) > worth


def _expected(
    evidence: Evidence,
    placements: Sequence[Placement],
    records: Sequence[TrialRecord],
    ladder: tuple[Budget, ...],
) -> Sequence[float]:
    """The expected IoU at the top budget, on a ladder also from its lower rungs."""
    ious = expected_ious(evidence)
    pooled = expected_on_ladder(records, placements, ladder) if len(ladder) > 1 else {}
    return [pooled.get(placement, iou) for placement, iou in zip(placements, ious, strict=True)]
