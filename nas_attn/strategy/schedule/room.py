"""What evaluations that ran out of memory teach about the placements that have not been tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord

Estimate = Callable[[Placement], int]
"""Bytes that a placement's training step takes; only their order counts."""


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
