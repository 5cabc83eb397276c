"""Decide whether the budget of a search is long enough, by doubling it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_attn.analysis.detection import default_worth
from nas_attn.analysis.doubling import Doubling, doubling_of
from nas_attn.analysis.noise import Noise
from nas_attn.analysis.result import Ranking
from nas_attn.analysis.runs import metric_of
from nas_attn.budget import Budget
from nas_attn.record import TrialRecord

LEAST_GAIN = 0.01
"""A baseline that gains less than this by doubling is not shown to be unfinished, however little noise the
seeds have. Used if no reference architecture ran for twice the steps."""
MOST_BY_CHANCE = 0.05
"""A baseline that gains more than this by doubling is unfinished, however the differences change."""


@dataclass(frozen=True)
class Convergence:
    """The baseline's IoU at growing budgets, and the change of the reference architectures' gains by doubling.

    Each point of the baseline is a complete run with the same seed.

    Args:
        points: (steps, IoU), ascending.
        steps: of the search's budget.
        noise: standard deviation of one run's IoU between seeds; None if it is not known.
        word: what the scores are called.
        doubling: of the budget; None if no reference architecture ran for twice the steps.
        worth: smallest gain that matters, in units of IoU.
    """

    points: tuple[tuple[int, float], ...]
    steps: int
    noise: float | None
    word: str = "IoU"
    doubling: Doubling | None = None
    worth: float = LEAST_GAIN

    @property
    def gain(self) -> float | None:
        """The baseline's gain by twice the search's steps; None if it was not run for both."""
        iou = dict(self.points)
        if self.steps not in iou or 2 * self.steps not in iou:
            return None
        return iou[2 * self.steps] - iou[self.steps]

    @property
    def is_unfinished(self) -> bool:
        """Whether the baseline still gains so much that the budget is too short in any case."""
        return self.gain is not None and self.gain > MOST_BY_CHANCE

    @property
    def converged(self) -> bool | None:
        """Whether the budget is long enough to show what matters; None if it is not known.

        If reference architectures ran for twice the steps, it is long enough if doubling changes their gains by
        less than what matters (``Doubling.long_enough``). If none did, the budget can only be shown to be too
        short: the baseline gains more than a point, and more than the seed may explain. Two runs differ by
        chance with a standard deviation of sqrt(2) times that of one.
        """
        if self.is_unfinished:
            return False
        if self.doubling is not None:
            return self.doubling.long_enough(self.worth)
        if self.gain is None:
            return None
        return None if self.gain <= max(LEAST_GAIN, 2 * 2**0.5 * (self.noise or 0.0)) else False


def plain_convergence(
    records: Sequence[TrialRecord], budget: Budget, noise: Noise, worth: float | None = None
) -> Convergence:
    """Convergence of a study's budget, from the baseline and the reference architectures.

    Args:
        records: of the study.
        budget: of the search.
        noise: of the runs at this budget.
        worth: smallest gain that matters, in units of IoU; ``default_worth`` if omitted.
    """
    plain = [record for record in records if record.outcome is not None and not record.placement.attended]
    first_seed = min((record.seed for record in plain), default=0)
    points = {
        record.budget.steps: record.outcome.score.iou
        for record in plain
        if record.outcome is not None and record.seed == first_seed and not record.budget.pretraining
    }
    return Convergence(
        tuple(sorted(points.items())),
        budget.steps,
        None if noise.run is None else noise.run.sd,
        metric_of(records).word,
        doubling_of(records, budget),
        default_worth(noise) if worth is None else worth,
    )


def ranked_convergence(
    records: Sequence[TrialRecord], ranking: Ranking, worth: float | None = None
) -> Convergence | None:
    """Convergence at the ranked budget; None if nothing is ranked.

    Args:
        records: of the study.
        ranking: of these.
        worth: as for ``plain_convergence``.
    """
    if ranking.budget is None:
        return None
    return plain_convergence(records, ranking.budget, ranking.noise, worth)
