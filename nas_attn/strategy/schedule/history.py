"""The finished trials of a study, sorted as they come: before each trial only what is new is gone through."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Role, TrialRecord
from nas_attn.strategy.schedule.room import Estimate, Room


class History:
    """What the finished trials are to those who decide the next one.

    Args:
        ladder: budgets of the search, the shortest first; only the last one's runs are ranked.
        estimate: bytes that a placement's training step takes.
    """

    records: list[TrialRecord]
    """Of the ladder's budgets, by number."""
    placements: set[Placement]
    """Of these records."""
    n_proposals: int
    proposed: set[Placement]
    plain_scores: dict[int, float]
    """Seed to IoU of the plain U-Net at the ladder's last budget, the finals left out."""
    begun: set[tuple[Placement, int]]
    """Placements with the seeds that they ran with at the ladder's last budget."""
    failed: set[Placement]
    """Of which a run has failed."""
    room: Room
    """What they say about memory."""
    _n_seen: int
    _last: TrialRecord | None

    def __init__(self, ladder: tuple[Budget, ...], estimate: Estimate) -> None:
        self._ladder, self._estimate = ladder, estimate
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

    @property
    def plain_seeds(self) -> set[int]:
        """With which the plain U-Net was run at the ladder's last budget."""
        return {seed for placement, seed in self.begun if not placement.attended}

    def _begin(self) -> None:
        self.records, self.placements, self.n_proposals = [], set(), 0
        self.proposed, self.plain_scores, self.begun, self.failed = set(), {}, set(), set()
        self.room = Room(self._estimate)
        self._n_seen, self._last = 0, None

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
        if record.failure is not None:
            self.failed.add(record.placement)
        if record.budget == self._ladder[-1]:
            self.begun.add((record.placement, record.seed))
            if not record.placement.attended and record.role is not Role.FINALIST and record.outcome is not None:
                self.plain_scores[record.seed] = record.outcome.score.iou
