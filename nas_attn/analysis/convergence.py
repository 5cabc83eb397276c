"""Whether the budget of a search is long enough for the plain U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_attn.analysis.by_metric import metric_of
from nas_attn.analysis.result import Ranking
from nas_attn.budget import Budget
from nas_attn.record import TrialRecord

LEAST_GAIN = 0.01
"""A doubling that gains less than one IoU point counts as no gain, however quiet the seeds are."""
MOST_BY_CHANCE = 0.05
"""A doubling that gains more is not put down to the seed: where seeds scatter so much, training is unfinished."""


@dataclass(frozen=True)
class Convergence:
    """The plain U-Net's IoU at growing budgets, each a complete run with the same seed.

    Args:
        points: (steps, IoU), ascending.
        steps: of the search's budget.
        noise: standard deviation of one run's IoU between seeds; None where it is not known.
        word: what the scores are called.
    """

    points: tuple[tuple[int, float], ...]
    steps: int
    noise: float | None
    word: str = "IoU"

    @property
    def gain(self) -> float | None:
        """What twice the search's steps bring; None where the plain U-Net was not run for both."""
        iou = dict(self.points)
        if self.steps not in iou or 2 * self.steps not in iou:
            return None
        return iou[2 * self.steps] - iou[self.steps]

    @property
    def converged(self) -> bool | None:
        """Twice the steps bring no more than one point; None where it is not known.

        It is not known where the gain is larger, but the seed alone may have brought it: two runs differ by
        chance with a standard deviation of sqrt(2) times that of one, though not by more than five points.
        """
        if self.gain is None:
            return None
        if self.gain <= LEAST_GAIN:
            return True
        return None if self.gain <= min(2 * 2**0.5 * (self.noise or 0.0), MOST_BY_CHANCE) else False


def plain_convergence(records: Sequence[TrialRecord], budget: Budget, noise: float | None) -> Convergence:
    """The curve of the plain U-Net that the controls of a study have drawn.

    Args:
        records: of the study.
        budget: of the search.
        noise: standard deviation of one run's IoU between seeds, as the ranking knows it.
    """
    plain = [record for record in records if record.outcome is not None and not record.placement.attended]
    first_seed = min((record.seed for record in plain), default=0)
    points = {
        record.budget.steps: record.outcome.score.iou
        for record in plain
        if record.outcome is not None and record.seed == first_seed and not record.budget.pretraining
    }
    return Convergence(tuple(sorted(points.items())), budget.steps, noise, metric_of(records).word)


def ranked_convergence(records: Sequence[TrialRecord], ranking: Ranking) -> Convergence | None:
    """The same at the budget that is ranked; None where nothing is.

    Args:
        records: of the study.
        ranking: of these.
    """
    if ranking.budget is None:
        return None
    run = ranking.noise.run
    return plain_convergence(records, ranking.budget, run.sd if run else None)
