"""Decide from the runs so far whether a search may stop or begin its finals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from nas_attn.analysis.convergence import plain_convergence
from nas_attn.analysis.detection import default_worth
from nas_attn.analysis.evidence import Evidence
from nas_attn.analysis.rank import expected_ious
from nas_attn.analysis.runs import last_proposal
from nas_attn.analysis.verdict import Decision, largest_gain
from nas_attn.models.placement import Placement
from nas_attn.record import Role, TrialRecord

LEAST_TO_STOP = 3
"""Fewest fresh seeds of a finalist for which a search stops."""


class Settled(NamedTuple):
    """The reason why a search ends before it has all its trials.

    Args:
        n_trials: number of trials after which it was settled.
        decision: a placement is better by more than what matters, or none is.
    """

    n_trials: int
    decision: Decision


@dataclass(frozen=True, eq=False)
class Judged:
    """The evidence of a study whose runs are not known to be too short and whose noise is known.

    Args:
        evidence: of its records.
        racing: finalists that may get further seeds.
        worth: smallest gain that matters, in units of IoU.
        confidence: above 0 and below 1.
    """

    evidence: Evidence
    racing: frozenset[Placement]
    worth: float
    confidence: float

    @property
    def decision(self) -> Decision | None:
        """The decision for which a search may stop at any time; None if it is open.

        Stopping for a better placement takes more than claiming one: the whole interval of a finalist must lie
        above ``worth``, not just above 0. This criterion may be checked again and again. A reference
        architecture with such a gain settles nothing, because the placements that the search is for have not
        been compared yet. While the leading finalist may get further seeds, it must have at least
        ``LEAST_TO_STOP`` fresh ones.
        """
        if any(low > self.worth for low in self._least_gains()):
            return Decision.BETTER
        largest = largest_gain(self.evidence, self.confidence, most=self.worth)
        return None if largest is None else Decision.EQUIVALENT

    def finals_pay(self, earlier: Sequence[TrialRecord]) -> bool:
        """Whether finals would show that a placement gains enough to matter, and further search would find little
        more.

        There are two conditions. The lower bound of the leader's gain, by the posterior of all runs, must exceed
        ``worth`` by at least the gain that finals detect (``default_worth``). And the leader's gain must not have
        grown by more than ``worth`` since the earlier runs.

        Args:
            earlier: the first of the records, without finals.
        """
        mean, low = _leading_gain(self.evidence, self.confidence)
        if low < self.worth + default_worth(self.evidence.noise, self.confidence):
            return False
        before, _ = _leading_gain(Evidence.of(earlier), self.confidence)
        return mean - before <= self.worth

    def _least_gains(self) -> Iterator[float]:
        """Lower ends of the intervals of finalists that gain by the model, too, in units of IoU.

        Empty while the leading finalist has too few fresh seeds to stop for and gets more of them. The answer
        names the leader, and of several finalists with two seeds the luckiest leads.
        """
        evidence, runs = self.evidence, self.evidence.selected.runs
        ious = expected_ious(evidence)
        leader = max((row for row in evidence.tested if runs[row].final), key=lambda row: ious[row], default=None)
        if leader is not None and runs[leader].placement in self.racing:
            fresh = evidence.reported[leader].keys() & runs[leader].final
            if len(fresh) < LEAST_TO_STOP:
                return
        for row in evidence.tested:
            estimate, of_finals = evidence.to_baseline(row), evidence.reported[row].keys() <= runs[row].final
            if estimate is None or not of_finals or estimate.n_seeds < LEAST_TO_STOP:
                continue
            interval = evidence.together(estimate, self.confidence)
            if interval is not None and evidence.gains.mean[row] > 0:
                yield interval.low


def judged(records: Sequence[TrialRecord], worth: float | None = None, confidence: float = 0.95) -> Judged | None:
    """The evidence of a study and its ``worth``; None if the noise is not known or the runs are too short.

    Args:
        records: of one study.
        worth: smallest gain that matters, in units of IoU; ``default_worth`` if omitted.
        confidence: above 0 and below 1.
    """
    evidence = Evidence.of(records)
    budget = evidence.selected.budget
    if evidence.noise.pair is None or evidence.plain is None or budget is None:
        return None
    worth = default_worth(evidence.noise, confidence) if worth is None else worth
    curve = plain_convergence(records, budget, evidence.noise, worth)
    return None if curve.converged is False else Judged(evidence, _racing(records), worth, confidence)


def _leading_gain(evidence: Evidence, confidence: float) -> tuple[float, float]:
    """Expected gain of the leading placement and a lower bound on that gain, in units of IoU."""
    gains = evidence.gains
    best = int(np.argmax(gains.mean))
    sd = math.sqrt(max(0.0, float(gains.covariance([best])[0, 0])))
    return float(gains.mean[best]), float(gains.mean[best]) - NormalDist().inv_cdf(confidence) * sd


def _racing(records: Sequence[TrialRecord]) -> frozenset[Placement]:
    """Finalists of the current finals that may get further seeds; those with a failed run get none."""
    last = last_proposal(records)
    failed = {record.placement for record in records if record.failure is not None}
    begun = {one.placement for one in records if one.role is Role.FINALIST and one.number > last}
    return frozenset(begun - failed)
