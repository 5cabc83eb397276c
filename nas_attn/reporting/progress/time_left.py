"""How long a search will still take, by what its own trials took: one estimate for the plan and the display."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from nas_attn.budget import Budget
from nas_attn.record import Role, TrialRecord

_LATEST = 20
"""So many of the latest trials that chose their placements show with which budgets the next ones will run."""
_ENOUGH = 3
"""So many trials of a kind tell what the next one of it takes."""
_COMING = (Role.PROPOSAL, Role.FINALIST)


def trial_seconds(records: Sequence[TrialRecord], top: Budget, first: Budget, forecast: float) -> float:
    """The expected time of a trial to come, in seconds.

    The trials to come are proposals and finalists: those of the study that have the same budget count where there
    are some, else any with it, else those of other budgets, in proportion to their steps.

    Args:
        records: of the study.
        top: the budget of full trials, as far as it is known.
        first: the budget that was timed before the search.
        forecast: seconds that a trial of it takes, where no trial has ended yet.
    """
    budgets = Counter(record.budget for record in [one for one in records if one.role in _COMING][-_LATEST:])
    shares = budgets or Counter([top])
    total = sum(share * _seconds_at(budget, records, first, forecast) for budget, share in shares.items())
    return max(1e-3, total / shares.total())


def _seconds_at(budget: Budget, records: Sequence[TrialRecord], first: Budget, forecast: float) -> float:
    alike = [record for record in records if record.budget == budget]
    chosen = _seconds([record for record in alike if record.role in _COMING])
    if taken := chosen if len(chosen) >= _ENOUGH else _seconds(alike):
        return fmean(taken)
    steps = sum(record.budget.steps for record in records if record.outcome is not None)
    per_step = sum(_seconds(records)) / steps if steps else forecast / first.steps
    return per_step * budget.steps


def _seconds(records: Sequence[TrialRecord]) -> list[float]:
    return [record.outcome.seconds for record in records if record.outcome is not None]


def seconds_left(n_left: int, each: float, under_way: Sequence[float], workers: int, slowness: float) -> float:
    """The expected time until all trials have ended.

    Args:
        n_left: trials that have not ended.
        each: what one takes, in seconds.
        under_way: for how long each of those has run that have begun.
        workers: trials at once.
        slowness: seconds of the clock for a second of trials, for each worker; 1 where they wait for nothing.
    """
    if not n_left:
        return 0.0
    begun = [max(0.05 * each, each - seconds) for seconds in under_way[:n_left]]
    work = sum(begun) + (n_left - len(begun)) * each
    longest = max([*begun, *[each] * (n_left > len(begun))])
    return slowness * max(longest, work / min(workers, max(1, n_left)))


def slowness(clock: float, workers: int, busy: float) -> float:
    """How much longer the search takes than its trials alone, as far as it has come here.

    Args:
        clock: seconds since the first trial began here.
        workers: trials at once.
        busy: seconds that trials have taken here together, those under way included.
    """
    if busy <= 0 or not math.isfinite(busy):
        return 1.0
    return min(3.0, max(1.0, clock * workers / busy))
