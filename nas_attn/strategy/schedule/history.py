"""The finished trials of a study, sorted incrementally: before each trial, only new ones are processed.

Trials that ran out of memory are informative about placements that have not been tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Role, TrialRecord

Estimate = Callable[[Placement], int]
"""Bytes of memory that a training step of a placement needs; only their order matters."""


class History:
    """The finished trials of a study, as far as they decide the next one.

    Args:
        ladder: budgets of the search, the shortest first; only runs at the last one are ranked.
        estimate: bytes of memory that a training step of a placement needs.
    """

    records: list[TrialRecord]
    """Records at the ladder's budgets, by number."""
    placements: set[Placement]
    """Placements of these records."""
    n_proposals: int
    proposed: set[Placement]
    plain_scores: dict[int, float]
    """Seed to IoU of the baseline at the ladder's last budget, without the finals."""
    begun: set[tuple[Placement, int]]
    """Pairs of placement and seed that ran at the ladder's last budget."""
    failed: set[Placement]
    """Placements with a failed run."""
    room: Room
    """What the records show about memory."""
    _n_seen: int
    _last: TrialRecord | None

    def __init__(self, ladder: tuple[Budget, ...], estimate: Estimate) -> None:
        self._ladder, self._estimate = ladder, estimate
        self._begin()

    def follow(self, records: Sequence[TrialRecord]) -> None:
        """Process the trials that have ended since the last call.

        Args:
            records: all finished trials by number; the earlier ones have not changed.
        """
        if self._n_seen > len(records) or (self._n_seen and records[self._n_seen - 1] is not self._last):
            self._begin()
        for record in records[self._n_seen :]:
            self._add(record)

    @property
    def plain_seeds(self) -> set[int]:
        """Seeds with which the baseline ran at the ladder's last budget."""
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
    """A test whether a placement is within the limits and may fit into memory; a value that can be compared.

    Args:
        limits: whether a placement is within the limits.
        estimate: of the memory that it needs.
        ceiling: a placement with an estimate of this or more is excluded.
    """

    limits: Callable[[Placement], bool]
    estimate: Estimate
    ceiling: int

    def __call__(self, placement: Placement) -> bool:
        return self.limits(placement) and self.estimate(placement) < self.ceiling


class Room:
    """The memory that placements may need: less than the smallest placement that ran out of memory.

    If a larger placement was trained on the same device, then one that ran out of memory lacked what others held
    at that moment, and is ignored. If the device is not known, it is compared with all.

    Args:
        estimate: only called once a placement has run out of memory.
    """

    def __init__(self, estimate: Estimate) -> None:
        self._estimate = estimate
        self._short: set[tuple[str, Placement]] = set()
        self._trained: set[tuple[str, Placement]] = set()
        self._largest: dict[str, int] = {}

    def add(self, record: TrialRecord) -> None:
        """Add a trial that has ended."""
        if record.shortage is not None:
            self._short.add((record.shortage.device, record.placement))
        elif record.outcome is not None:
            self._trained.add((record.outcome.cost.device, record.placement))

    @property
    def ceiling(self) -> int | None:
        """The estimate that placements must stay below; None if it is not known."""
        if not self._short:
            return None
        for device, placement in self._trained:
            self._largest[device] = max(self._largest.get(device, 0), self._estimate(placement))
        self._trained.clear()
        sizes = ((device, self._estimate(placement)) for device, placement in self._short)
        return min((size for device, size in sizes if size > self._largest_on(device)), default=None)

    def _largest_on(self, device: str) -> int:
        return self._largest.get(device, 0) if device else max(self._largest.values(), default=0)
