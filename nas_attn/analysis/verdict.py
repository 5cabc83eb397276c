"""Decide a study: a placement is better than the baseline, none gains enough to matter, or it is undecided."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from statistics import fmean

from nas_attn.analysis.convergence import Convergence, ranked_convergence
from nas_attn.analysis.costs import as_good_for_less
from nas_attn.analysis.detection import FINALS_SHARE, Sight, default_worth
from nas_attn.analysis.evidence import Evidence
from nas_attn.analysis.rank import rank
from nas_attn.analysis.result import RankedPlacement, Ranking, Versus, claimed_row
from nas_attn.analysis.verification import Comparison, Verdict, Verification, verification_of
from nas_attn.record import TrialRecord

_BEYOND = 0.2
"""Share of ``1 - confidence`` that may lie above the bound on the best gain."""


class Decision(StrEnum):
    """The answer of a study."""

    BETTER = "better"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


class Open(StrEnum):
    """Why a study is undecided."""

    NO_BASELINE = "the baseline has no complete run"
    NO_OTHER = "no placement with attention has a complete run"
    NOT_CONVERGED = "the runs are too short"
    REFUTED = "verification refuted the claim"
    NOT_CONFIRMED = "verification did not confirm the claim"
    TOO_FEW = "too few runs"


@dataclass(frozen=True, eq=False)
class StudyVerdict:
    """The answer of a study, from its runs and its verification.

    - Better: the interval of the placement lies above 0, using runs that played no part in choosing it. Once the
      placement was verified, only the verification counts.
    - Equivalent: the best placement of the space gains no more than ``worth``, with the confidence of the
      intervals. This is the answer even if a gain above 0 is shown: such a gain is smaller than what matters, or
      luck, unless verification confirms it.
    - If the runs are too short, neither is claimed.

    Args:
        ranking: of the study.
        row: the placement that the study claims; None if only the baseline was evaluated.
        verification: of that placement; None if it was not verified.
        curve: whether the budget is long enough; None if nothing is ranked.
        largest: upper bound on the gain of the best placement that may exist, in units of IoU, with the confidence
            of the intervals; None if nothing is known about it.
        worth: smallest gain that matters, in units of IoU.
        by_noise: whether nobody set ``worth``, so that it is the gain that a search can detect at the noise of
            these runs.
        run_seconds: mean duration of a run of the ranked budget; 0 if it is not known.
        sight: gains that this number of trials can detect; None if the noise is not known, or without finals.
    """

    ranking: Ranking
    row: RankedPlacement | None
    verification: Verification | None
    curve: Convergence | None
    largest: float | None
    worth: float
    by_noise: bool = False
    run_seconds: float = 0.0
    sight: Sight | None = None

    @cached_property
    def answer(self) -> Decision:
        """Better, equivalent or undecided."""
        if self.converged is False or self.ranking.plain is None:
            return Decision.UNDECIDED
        within = self.row is not None and self.largest is not None and self.largest <= self.worth
        if self._is_better and (self.verified or not within):
            return Decision.BETTER
        return Decision.EQUIVALENT if within else Decision.UNDECIDED

    @property
    def reason(self) -> Open | None:
        """Why the study is undecided; None if it is decided."""
        if self.answer is not Decision.UNDECIDED:
            return None
        if self.ranking.plain is None:
            return Open.NO_BASELINE
        if self.row is None:
            return Open.NO_OTHER
        if self.converged is False:
            return Open.NOT_CONVERGED
        if self.verification is None:
            return Open.TOO_FEW
        return Open.REFUTED if self.verification.verdict is Verdict.REFUTED else Open.NOT_CONFIRMED

    @property
    def winner(self) -> RankedPlacement | None:
        """The placement to use: the better one, or else the baseline.

        If the baseline was not run, the first row of the ranking. None if nothing is ranked.
        """
        if self.answer is Decision.BETTER:
            return self.row
        rows = self.ranking.rows
        return self.ranking.plain or (rows[0] if rows else None)

    @property
    def converged(self) -> bool | None:
        """Whether the runs are long enough to show what matters; None if it is not known."""
        return None if self.curve is None else self.curve.converged

    @property
    def verified(self) -> bool | None:
        """Whether verification confirmed the placement's gain; None if it was not verified."""
        return None if self.verification is None else self.verification.verdict is Verdict.CONFIRMED

    @cached_property
    def as_good_for_less(self) -> RankedPlacement | None:
        """A clearly cheaper placement whose gain is within ``worth`` of the winner's; None if there is none, or
        if no placement is better."""
        if self.answer is not Decision.BETTER or self.row is None:
            return None
        return as_good_for_less(self.row, self.ranking, self.worth)

    @property
    def measured(self) -> Comparison | None:
        """Difference of the placement to the baseline: the verified one if there is one, else the difference
        over the runs that played no part in choosing it."""
        if self.verification is not None:
            return self.verification.to_baseline
        if self.row is None or self.row.delta is None or not self.row.tested:
            return None
        return Comparison(self.row.delta, self.row.delta_interval, self.row.n_seeds, self.ranking.metric.word)

    @property
    def gains_too_little(self) -> bool:
        """Whether the placement is better but its whole interval lies below ``worth``."""
        if self.answer is not Decision.BETTER or self.measured is None or self.measured.interval is None:
            return False
        return self.measured.interval.high < self.worth

    @property
    def further_runs(self) -> int | None:
        """Approximate number of further runs needed to decide whether any placement gains enough; None if unknown.

        The bound on the best gain is taken to shrink with the square root of the number of runs. A claim that
        was not confirmed says nothing about the other placements.
        """
        if self.reason not in (Open.TOO_FEW, Open.NOT_CONFIRMED, Open.REFUTED) or self.largest is None:
            return None
        return math.ceil(self.ranking.n_runs * ((self.largest / self.worth) ** 2 - 1))

    @property
    def _is_better(self) -> bool:
        if self.verified is not None:
            return self.verified
        return self.row is not None and self.row.better_than_baseline is Versus.BETTER


def verdict_of(
    records: Sequence[TrialRecord],
    verifications: Sequence[Verification] = (),
    *,
    ranking: Ranking | None = None,
    worth: float | None = None,
    trials: int | None = None,
    share: float = FINALS_SHARE,
) -> StudyVerdict:
    """The answer of a study.

    Args:
        records: of the study, in any order.
        verifications: of its placements.
        ranking: of the records; computed if omitted.
        worth: smallest gain that matters, in units of IoU; ``default_worth`` if omitted.
        trials: planned number of trials; the number of records if omitted.
        share: share of the trials that the finals get.
    """
    ranking = rank(records) if ranking is None else ranking
    row, pair, by_noise = claimed_row(ranking), ranking.noise.pair, worth is None
    worth = default_worth(ranking.noise, ranking.confidence) if worth is None else worth
    largest = largest_gain(Evidence.of(records), ranking.confidence)
    if largest is not None and len(records) < (trials or 0):
        # A search stops once this bound falls below ``worth``, so the bound is low by chance: report ``worth``.
        largest = max(largest, worth)
    return StudyVerdict(
        ranking=ranking,
        row=row,
        verification=None if row is None else verification_of(row, ranking, verifications),
        curve=ranked_convergence(records, ranking, worth),
        largest=largest,
        worth=worth,
        by_noise=by_noise,
        run_seconds=_mean_seconds(records, ranking),
        sight=None
        if pair is None or not share
        else Sight(pair.sd, trials or len(records), share, ranking.confidence),
    )


def largest_gain(evidence: Evidence, confidence: float, most: float = math.inf) -> float | None:
    """Upper bound on the gain of any placement, in units of IoU.

    Every posterior draw of the gains (``gains.gains_of``) is maximised over all placements
    (``attainable.best_gains``). So the bound stays valid however often it is looked at, and whichever placements
    were tried. A fifth of ``1 - confidence`` of these maxima may lie above the bound. The share is that small
    because the variances are taken as known, which makes the draws narrow, and because a search ends where the
    bound happens to be low. The model does not know that a metric ends at 1, so the bound is cut at the gain that
    the baseline leaves possible.

    Returns:
        None if the plain U-Net was not run, too few runs estimate the noise, or the bound is above ``most``.
    """
    pair = evidence.noise.pair
    if pair is None or not pair.tells_intervals or evidence.plain is None:
        return None
    left = 1 - _least_value(evidence, evidence.plain, confidence)
    share = 1 - _BEYOND * (1 - confidence)
    drawn = evidence.gains.best_gain(share, math.inf if left <= most else most)
    return None if drawn is None else min(drawn, left)


def _least_value(evidence: Evidence, row: int, confidence: float) -> float:
    """Lower end of Student's interval of a row's mean metric, at least 0, for any degrees of freedom."""
    mean = evidence.mean(row)
    return max(0.0, mean.value - (mean.reach(confidence) or 0.0))


def _mean_seconds(records: Sequence[TrialRecord], ranking: Ranking) -> float:
    outcomes = (record.outcome for record in records if record.budget == ranking.budget)
    taken = [outcome.seconds for outcome in outcomes if outcome is not None]
    return fmean(taken) if taken else 0.0
