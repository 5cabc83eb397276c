"""The finished trials of a study, sorted as they come: before each trial only what is new is gone through.

Those that ran out of memory tell of placements that have not been tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Role, TrialRecord

Estimate = Callable[[Placement], int]
"""Bytes that a placement's training step takes; only their order counts."""


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


@dataclass(frozen=True)
class Fits:
    """The question whether a placement keeps the limits and may fit into memory; a value that can be compared.

    Args:
        limits: whether a placement keeps the limits.
        estimate: what it takes.
        ceiling: a placement that is estimated to take so much, or more, is ruled out.
    """

    limits: Callable[[Placement], bool]
    estimate: Estimate
    ceiling: int

    def __call__(self, placement: Placement) -> bool:
        return self.limits(placement) and self.estimate(placement) < self.ceiling


class Room:
    """How much memory placements may take: less than the smallest that ran out of it.

    A placement that ran out though a larger one was trained on the same device lacked what others held at that
    moment, and so teaches nothing. Where the device is not known, it is compared with all.

    Args:
        estimate: asked only once a placement has run out.
    """

    def __init__(self, estimate: Estimate) -> None:
        self._estimate = estimate
        self._short: set[tuple[str, Placement]] = set()
        self._trained: set[tuple[str, Placement]] = set()
        self._largest: dict[str, int] = {}

    def add(self, record: TrialRecord) -> None:
        """Take in a trial that has ended."""
        if record.shortage is not None:
            self._short.add((record.shortage.device, record.placement))
        elif record.outcome is not None:
            self._trained.add((record.outcome.cost.device, record.placement))

    @property
    def ceiling(self) -> int | None:
        """What placements must be estimated to stay below; None where that is not known."""
        if not self._short:
            return None
        for device, placement in self._trained:
            self._largest[device] = max(self._largest.get(device, 0), self._estimate(placement))
        self._trained.clear()
        sizes = ((device, self._estimate(placement)) for device, placement in self._short)
        return min((size for device, size in sizes if size > self._largest_on(device)), default=None)

    def _largest_on(self, device: str) -> int:
        return self._largest.get(device, 0) if device else max(self._largest.values(), default=0)
