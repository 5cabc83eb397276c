"""The finished trials of a study, sorted as they come: before each trial only what is new is gone through."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.budget import Budget
from nas_attn.placement import Placement
from nas_attn.ranking import COSTS, pareto_front
from nas_attn.record import Role, TrialRecord
from nas_attn.study.schedule.room import Estimate, Room

CONTENDERS = 256
"""Placements with a single run that are ranked before each trial of the race; of more, the best ones."""


class History:
    """What the finished trials are to those who decide the next one.

    Args:
        ladder: budgets of the search, the shortest first; only the last one's runs are raced.
        cost: the second objective.
        estimate: bytes that a placement's training step takes.
    """

    records: list[TrialRecord]
    """Of the ladder's budgets, by number."""
    placements: set[Placement]
    """Of these records."""
    n_proposals: int
    proposed: set[Placement]
    plain_seeds: set[int]
    """With which the plain U-Net was begun at the ladder's last budget."""
    room: Room
    """What they say about memory."""
    _n_seen: int
    _last: TrialRecord | None
    _runs: dict[Placement, list[TrialRecord]]
    _repeated: set[Placement]
    _leading: set[Placement]
    _n_compared: int

    def __init__(self, ladder: tuple[Budget, ...], cost: str, estimate: Estimate) -> None:
        self._ladder, self._cost, self._estimate = ladder, cost, estimate
        self._begin()

    def follow(self, records: Sequence[TrialRecord]) -> None:
        """Take in what has come since the last time.

        Args:
            records: all finished trials by number; those that were there before have not changed.
        """
        if self._n_seen > len(records) or (self._n_seen and records[self._n_seen - 1] is not self._last):
            self._begin()
        for record in records[self._n_seen :]:
            self._add(record)

    def contenders(self) -> list[TrialRecord]:
        """The runs, by number, of all placements that may be among the leaders.

        Of thousands of placements with one run each most are far behind; ranking them all before each trial of
        the race would make its time grow with the square of the study.
        """
        if self._n_compared != len(self._runs):
            self._leading, self._n_compared = self._find_leading(), len(self._runs)
        kept = (record for placement in self._leading | self._repeated for record in self._runs[placement])
        return sorted(kept, key=lambda record: record.number)

    def _begin(self) -> None:
        self.records, self.placements, self.n_proposals = [], set(), 0
        self.proposed, self.plain_seeds = set(), set()
        self.room = Room(self._estimate)
        self._n_seen, self._last = 0, None
        self._runs, self._repeated = {}, set()
        self._leading, self._n_compared = set(), 0

    def _add(self, record: TrialRecord) -> None:
        self._n_seen, self._last = self._n_seen + 1, record
        if record.role is Role.PROPOSAL:
            self.n_proposals += 1
            self.proposed.add(record.placement)
        self.room.add(record)
        if record.budget not in self._ladder:
            return
        self.records.append(record)
        self.placements.add(record.placement)
        if record.budget == self._ladder[-1]:
            runs = self._runs.setdefault(record.placement, [])
            runs.append(record)
            if not record.placement.attended:
                self.plain_seeds.add(record.seed)
            if len(runs) > 1 or not record.placement.attended:
                self._repeated.add(record.placement)

    def _find_leading(self) -> set[Placement]:
        """By the first run of each placement: what later ones find must not depend on when this was asked."""
        first = {placement: runs[0].outcome for placement, runs in self._runs.items()}
        points = {
            placement: (outcome.score.iou, COSTS[self._cost](outcome.cost) or 0.0)
            for placement, outcome in first.items()
            if outcome is not None
        }
        placements = list(points)
        best = sorted(placements, key=lambda placement: -points[placement][0])[:CONTENDERS]
        return {*best, *(placements[index] for index in pareto_front(list(points.values())))}
