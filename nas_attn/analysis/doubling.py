"""Effect of doubling the steps on the gains of placements over the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from nas_attn.analysis.evidence import Evidence
from nas_attn.analysis.noise import LEAST_FREEDOM
from nas_attn.analysis.quantiles import two_sided_quantile
from nas_attn.analysis.result import Interval
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord

LONG_ENOUGH, TOO_SHORT = 0.8, 0.95
"""Confidence of the interval that shows a budget to be long enough, and of the one that shows it to be too
short."""


@dataclass(frozen=True)
class Change:
    """Change of one reference architecture's gain by doubling the steps.

    Args:
        placement: the reference architecture.
        name: of the reference architecture.
        before: gain over the baseline at the shorter budget, paired by seeds, in units of IoU.
        after: gain at the longer budget.
        n_seeds: number of seeds with which it and the baseline ran at both budgets.
    """

    placement: Placement
    name: str
    before: float
    after: float
    n_seeds: int

    @property
    def value(self) -> float:
        """The change, in units of IoU."""
        return self.after - self.before


@dataclass(frozen=True)
class Doubling:
    """The changes of all reference architectures that ran at both budgets.

    Args:
        changes: at least one.
        variance: sum of the variances of a single run at the shorter and at the longer budget; None if it is not
            known.
        degrees_of_freedom: of this sum, by Satterthwaite.
    """

    changes: tuple[Change, ...]
    variance: float | None
    degrees_of_freedom: float

    @property
    def value(self) -> float:
        """The mean change, in units of IoU."""
        return fmean(change.value for change in self.changes)

    @property
    def n_seeds(self) -> int:
        """The smallest number of seeds of a reference architecture."""
        return min(change.n_seeds for change in self.changes)

    @cached_property
    def largest(self) -> float:
        """The largest absolute change."""
        return max(abs(change.value) for change in self.changes)

    def interval(self, confidence: float) -> Interval | None:
        """Student's interval of the mean change; None if the noise is not known or has too few degrees of freedom.

        All m changes share the n runs of the baseline, so their mean has the variance (1 + 1 / m) v / n.
        """
        return self._of_mean(confidence) if self.degrees_of_freedom >= LEAST_FREEDOM else None

    def is_settled(self, worth: float) -> bool:
        """Whether no measured change of a reference architecture exceeds what matters."""
        return self.largest <= worth

    def long_enough(self, worth: float) -> bool | None:
        """Whether the shorter budget distinguishes placements on the scale of what matters; None if it is not
        known.

        True if the interval of the mean change lies within what matters and no single change exceeds it. False if
        the interval of the mean change, or of a single one, lies beyond what matters. Few degrees of freedom only
        make the intervals wide; they are no reason for None.

        Args:
            worth: smallest gain that matters, in units of IoU.
        """
        mean = self._of_mean(LONG_ENOUGH)
        if mean is None:
            return None
        if self.is_settled(worth) and -worth <= mean.low and mean.high <= worth:
            return True
        return False if any(_is_beyond(one, worth) for one in self._sure_intervals) else None

    @property
    def _sure_intervals(self) -> list[Interval]:
        """Intervals of the mean and of each change; those of the single changes are simultaneous (Bonferroni)."""
        apart = 1 - (1 - TOO_SHORT) / len(self.changes)
        found = [self._interval(change.value, 2.0, change.n_seeds, apart) for change in self.changes]
        return [one for one in (self._of_mean(TOO_SHORT), *found) if one is not None]

    def _of_mean(self, confidence: float) -> Interval | None:
        """Interval of the mean change, for any degrees of freedom."""
        return self._interval(self.value, 1 + 1 / len(self.changes), self.n_seeds, confidence)

    def _interval(self, value: float, runs: float, n_seeds: int, confidence: float) -> Interval | None:
        if self.variance is None:
            return None
        error = math.sqrt(runs * self.variance / n_seeds)
        half = two_sided_quantile(confidence, self.degrees_of_freedom) * error
        return Interval(value - half, value + half)


def doubling_of(records: Sequence[TrialRecord], budget: Budget) -> Doubling | None:
    """Effect of doubling a budget; None if no reference architecture ran at both with the baseline's seeds.

    Collapsed runs are ignored, as in the ranking. The noise is that of all runs at each of the two budgets.

    Args:
        records: of a study, in any order.
        budget: the shorter one.
    """
    double = budget.doubled
    long = [record for record in records if record.budget == double]
    if not any(record.placement.attended for record in long):
        return None
    before, after = Evidence.of([one for one in records if one.budget == budget]), Evidence.of(long)
    found = (_change(before, after, row) for row in range(len(before.clean)))
    changes = tuple(change for change in found if change is not None)
    return Doubling(changes, *_variance(before, after)) if changes else None


def _change(before: Evidence, after: Evidence, row: int) -> Change | None:
    """Change of a row of the shorter budget."""
    run = before.selected.runs[row]
    other = after.row_of(run.placement)
    if run.is_plain or other is None or before.plain is None or after.plain is None:
        return None
    short, plain = before.clean[row], before.clean[before.plain]
    long, longer_plain = after.clean[other], after.clean[after.plain]
    seeds = [seed for seed in short if seed in plain and seed in long and seed in longer_plain]
    if not seeds:
        return None
    return Change(
        run.placement,
        run.reference or after.selected.runs[other].reference or run.placement.id,
        fmean(short[seed] - plain[seed] for seed in seeds),
        fmean(long[seed] - longer_plain[seed] for seed in seeds),
        len(seeds),
    )


def _variance(before: Evidence, after: Evidence) -> tuple[float | None, float]:
    """The sum of a run's variances at both budgets, and its degrees of freedom (Satterthwaite 1946)."""
    one, other = before.noise.pair, after.noise.pair
    if one is None or other is None:
        return None, 0.0
    parts = [(pair.sd**2 / 2, pair.degrees_of_freedom) for pair in (one, other)]
    total = sum(part for part, _ in parts)
    doubt = sum(part**2 / freedom for part, freedom in parts)
    return total, total**2 / doubt if doubt else min(freedom for _, freedom in parts)


def _is_beyond(interval: Interval, worth: float) -> bool:
    return interval.low > worth or interval.high < -worth
