"""When a study checks whether its question is settled, and what each check (a look) finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nas_attn.analysis.settled import Settled, judged
from nas_attn.analysis.verdict import Decision
from nas_attn.record import Role, TrialRecord
from nas_attn.strategy.settings import Plan

FIRST_LOOK, LOOK_EVERY, LOOK_EVERY_FINAL = 60, 10, 5
"""Number of trials before the first look, between looks, and between looks once the finals have started."""
_LAST_WITHOUT_GAIN = 20
"""Number of trials without an improvement of the leader by as much as matters, before the finals start early."""


class Looks:
    """The looks of a study: always after the same trials, in every process.

    Args:
        plan: of the study; a study that does not stop has no looks.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seen: dict[int, Look] = {}

    def settled_after(self, records: Sequence[TrialRecord], n_started: int) -> Settled | None:
        """How the question was settled, and after how many trials; None if it is open.

        If a look settles it, no trial starts until the running ones have ended. They must settle it too, otherwise
        the study continues.

        Args:
            records: all trials that may be used, at least the visible ones.
            n_started: number of all trials.
        """
        n_trials = self.n_confirming(records, n_started)
        decision = self._look(records[:n_trials]).decision if n_trials else None
        return None if decision is None else Settled(n_trials, decision)

    def n_confirming(self, records: Sequence[TrialRecord], n_started: int) -> int:
        """Number of trials that also have to settle the question; 0 if the last look did not settle it."""
        looks = self._looked(records, n_started)
        if not looks or self._look(records[: looks[-1]]).decision is None:
            return 0
        return looks[-1] + self._plan.unseen

    def finals_pay(self, records: Sequence[TrialRecord], n_started: int) -> bool:
        """Whether the finals start before all proposals are made."""
        looks = self._looked(records, n_started)
        return any(self._look(records[:n_trials]).finals_pay for n_trials in looks)

    def _looked(self, records: Sequence[TrialRecord], n_started: int) -> list[int]:
        """The numbers of trials after which there was a look."""
        if not self._plan.stop:
            return []
        n_seen = min(len(records), n_started - self._plan.unseen)
        finals = next((n for n, record in enumerate(records) if record.role is Role.FINALIST), n_seen)
        looks = range(FIRST_LOOK, n_seen + 1, LOOK_EVERY_FINAL)
        return [n for n in looks if n > finals or (n - FIRST_LOOK) % LOOK_EVERY == 0]

    def _look(self, records: Sequence[TrialRecord]) -> Look:
        """The look at the first trials, computed once as long as these are the same."""
        known = self._seen.get(len(records))
        if known is None or list(records) != known.records:
            known = self._seen[len(records)] = Look(list(records), self._plan.worth)
        return known


@dataclass(frozen=True, eq=False)
class Look:
    """A look at the first trials of a study, computed on demand.

    Args:
        records: these trials.
        worth: smallest gain that matters, in units of the metric; None lets the noise decide.
    """

    records: list[TrialRecord]
    worth: float | None

    @cached_property
    def decision(self) -> Decision | None:
        """The decision; None if the question is open."""
        known = judged(self.records, self.worth)
        return None if known is None else known.decision

    @cached_property
    def finals_pay(self) -> bool:
        """Whether the finals may start, however many proposals are left; False if they have started."""
        if any(record.role is Role.FINALIST for record in self.records):
            return False
        known = judged(self.records, self.worth)
        return known is not None and known.finals_pay(self.records[:-_LAST_WITHOUT_GAIN])
