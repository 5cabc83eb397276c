"""When it is looked at whether a search's question is settled, and what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nas_attn.analysis.settled import Settled, judged
from nas_attn.analysis.verdict import Decision
from nas_attn.record import Role, TrialRecord
from nas_attn.strategy.settings import Plan

FIRST_LOOK, LOOK_EVERY, LOOK_EVERY_FINAL = 60, 10, 5
"""After how many trials it is first looked at whether the question is settled, how often from then on, and how
often once the finals have begun."""
_LAST_WITHOUT_GAIN = 20
"""Trials in which the leader must not have got better by what matters, before the finals begin early."""


class Looks:
    """The looks at one study: always by the same trials, whoever looks.

    Args:
        plan: of the study; one that does not stop is never looked at.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seen: dict[int, Look] = {}

    def settled_after(self, records: Sequence[TrialRecord], n_started: int) -> Settled | None:
        """After how many trials the question was settled, and how; None where it is not.

        Where a look settles it, no trial begins before those that run have ended; they must settle it too, or the
        study goes on.

        Args:
            records: all trials that may be looked at, at least the visible ones.
            n_started: how many there are in all.
        """
        n_trials = self.n_confirming(records, n_started)
        decision = self._look(records[:n_trials]).decision if n_trials else None
        return None if decision is None else Settled(n_trials, decision)

    def n_confirming(self, records: Sequence[TrialRecord], n_started: int) -> int:
        """By how many trials the question must be settled too; 0 where it was not when last looked at."""
        looks = self._looked(records, n_started)
        if not looks or self._look(records[: looks[-1]]).decision is None:
            return 0
        return looks[-1] + self._plan.unseen

    def finals_pay(self, records: Sequence[TrialRecord], n_started: int) -> bool:
        """Whether the finals begin before all proposals are made."""
        looks = self._looked(records, n_started)
        return any(self._look(records[:n_trials]).finals_pay for n_trials in looks)

    def _looked(self, records: Sequence[TrialRecord], n_started: int) -> list[int]:
        """After how many trials it was looked at what is settled."""
        if not self._plan.stop:
            return []
        n_seen = min(len(records), n_started - self._plan.unseen)
        finals = next((n for n, record in enumerate(records) if record.role is Role.FINALIST), n_seen)
        looks = range(FIRST_LOOK, n_seen + 1, LOOK_EVERY_FINAL)
        return [n for n in looks if n > finals or (n - FIRST_LOOK) % LOOK_EVERY == 0]

    def _look(self, records: Sequence[TrialRecord]) -> Look:
        """What the first trials say; found out once, as long as they are the same."""
        known = self._seen.get(len(records))
        if known is None or list(records) != known.records:
            known = self._seen[len(records)] = Look(list(records), self._plan.worth)
        return known


@dataclass(frozen=True, eq=False)
class Look:
    """What some of the first trials say, found out once it is asked.

    Args:
        records: these trials.
        worth: smallest gain that matters, in units of the metric; None where the noise decides.
    """

    records: list[TrialRecord]
    worth: float | None

    @cached_property
    def decision(self) -> Decision | None:
        """What they have settled; None where it is open."""
        known = judged(self.records, self.worth)
        return None if known is None else known.decision

    @cached_property
    def finals_pay(self) -> bool:
        """Whether the finals may begin, however many proposals are left; False where they have begun."""
        if any(record.role is Role.FINALIST for record in self.records):
            return False
        known = judged(self.records, self.worth)
        return known is not None and known.finals_pay(self.records[:-_LAST_WITHOUT_GAIN])
