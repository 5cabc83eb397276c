"""What a study answers: a placement is better than the baseline, none gains enough to matter, or it is open."""

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
"""Share of what a confidence leaves that the bound on the best gain leaves."""


class Decision(StrEnum):
    """What a study says of its question."""

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
    """The answer of a study, by all that is known: its runs, and what was verified.

    Better is a placement whose interval, by runs that had no say in its choice, lies above 0; once it was
    verified, only what the verification confirms. Equivalent is a space whose best placement gains no more than
    what matters, with the confidence of the intervals: also where a gain above 0 is shown, which then is less than
    what matters, or luck, unless verification confirms it. A study whose runs are too short claims neither.

    Args:
        ranking: of the study.
        row: the placement that the study puts forward; None where only the baseline was evaluated.
        verification: of that placement; None where it was not verified.
        curve: whether its budget is long enough; None where nothing is ranked.
        largest: gain of the best placement that may exist, in units of IoU: no more, with the confidence of the
            intervals; None where nothing is known of it.
        worth: smallest gain that matters, in units of IoU.
        by_noise: nobody has said what matters, so it is what a search can tell at the noise of these runs.
        run_seconds: that a run of the ranked budget took on average; 0 where that is not known.
        sight: what so many trials can tell; None where the noise is not known, or without finals.
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
        """Why it is undecided; None where it is not."""
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
        """What to take: what is better, and else the baseline, or the first row where that was not run; None where
        nothing is ranked."""
        if self.answer is Decision.BETTER:
            return self.row
        rows = self.ranking.rows
        return self.ranking.plain or (rows[0] if rows else None)

    @property
    def converged(self) -> bool | None:
        """The runs are long enough for what matters; None where that is not known."""
        return None if self.curve is None else self.curve.converged

    @property
    def verified(self) -> bool | None:
        """The placement's gain was confirmed; None where it was not verified."""
        return None if self.verification is None else self.verification.verdict is Verdict.CONFIRMED

    @cached_property
    def as_good_for_less(self) -> RankedPlacement | None:
        """What is as good as the placement within what matters and clearly cheaper; None where nothing is, or no
        placement is better."""
        if self.answer is not Decision.BETTER or self.row is None:
            return None
        return as_good_for_less(self.row, self.ranking, self.worth)

    @property
    def measured(self) -> Comparison | None:
        """The placement's difference to the baseline: the verified one where there is one, else that of the runs
        which had no say in its choice."""
        if self.verification is not None:
            return self.verification.to_baseline
        if self.row is None or self.row.delta is None or not self.row.tested:
            return None
        return Comparison(self.row.delta, self.row.delta_interval, self.row.n_seeds, self.ranking.metric.word)

    @property
    def gains_too_little(self) -> bool:
        """The placement is better, and by less than what matters, as its whole interval says."""
        if self.answer is not Decision.BETTER or self.measured is None or self.measured.interval is None:
            return False
        return self.measured.interval.high < self.worth

    @property
    def further_runs(self) -> int | None:
        """About how many more runs would tell whether any placement gains enough to matter; None where that is not
        known. The reach of the best gain falls with the root of the runs. A claim that was not confirmed tells
        nothing of the others."""
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
        ranking: of the records; made where left out.
        worth: smallest gain that matters, in units of IoU; ``default_worth`` where left out.
        trials: that the study is to have; those that it has where left out.
        share: of them that the finals get.
    """
    ranking = rank(records) if ranking is None else ranking
    row, pair, by_noise = claimed_row(ranking), ranking.noise.pair, worth is None
    worth = default_worth(ranking.noise, ranking.confidence) if worth is None else worth
    largest = largest_gain(Evidence.of(records), ranking.confidence)
    if largest is not None and len(records) < (trials or 0):
        # Looked at until it lay within what matters, it is the lower by chance: what holds then is what matters.
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
    """What no placement gains more than, in units of IoU; None where too few runs tell the noise, or where it is
    more than asked for.

    It is the posterior of ``gains.gains_of``, whose draws are maximised over all placements
    (``attainable.best_gains``), so that it does not matter how often it is looked at, nor which placements
    were tried. Of these maxima a fifth of what the confidence leaves may lie beyond: variances taken as known make
    the draws narrow, and a search ends where the bound happens to be low. The model does not know that a metric
    ends at 1, so that a gain beyond what the baseline leaves is cut.
    """
    pair = evidence.noise.pair
    if pair is None or not pair.tells_intervals or evidence.plain is None:
        return None
    left = 1 - _least_value(evidence, evidence.plain, confidence)
    share = 1 - _BEYOND * (1 - confidence)
    drawn = evidence.gains.best_gain(share, math.inf if left <= most else most)
    return None if drawn is None else min(drawn, left)


def _least_value(evidence: Evidence, row: int, confidence: float) -> float:
    """Lower end of Student's interval of a row's mean metric, of however few degrees of freedom; at least 0."""
    mean = evidence.mean(row)
    return max(0.0, mean.value - (mean.reach(confidence) or 0.0))


def _mean_seconds(records: Sequence[TrialRecord], ranking: Ranking) -> float:
    outcomes = (record.outcome for record in records if record.budget == ranking.budget)
    taken = [outcome.seconds for outcome in outcomes if outcome is not None]
    return fmean(taken) if taken else 0.0
