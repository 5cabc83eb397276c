"""Whether the budget of a search is long enough: by what doubling it changes between placements."""

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
"""Where no reference architecture ran for twice the steps: a doubling that gains the baseline less does not show
that it is unfinished, however quiet the seeds are."""
MOST_BY_CHANCE = 0.05
"""A baseline that gains more by a doubling is unfinished, whatever differences do meanwhile."""


@dataclass(frozen=True)
class Convergence:
    """The baseline's IoU at growing budgets, each a complete run with the same seed, and what doubling the
    search's budget changes in what reference architectures gain over it.

    Args:
        points: (steps, IoU), ascending.
        steps: of the search's budget.
        noise: standard deviation of one run's IoU between seeds; None where it is not known.
        word: what the scores are called.
        doubling: of the budget; None where no reference architecture ran for twice the steps.
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
        """What twice the search's steps bring; None where the baseline was not run for both."""
        iou = dict(self.points)
        if self.steps not in iou or 2 * self.steps not in iou:
            return None
        return iou[2 * self.steps] - iou[self.steps]

    @property
    def is_unfinished(self) -> bool:
        """The baseline still gains so much that nothing else counts."""
        return self.gain is not None and self.gain > MOST_BY_CHANCE

    @property
    def converged(self) -> bool | None:
        """The budget is long enough for what matters; None where it is not known.

        It is where twice the steps change what reference architectures gain by less than what matters
        (``Doubling.long_enough``). Where none ran for twice the steps, it is only known that it is not: the
        baseline gains more than a point, and more than the seed may bring; two runs differ by chance with a
        standard deviation of sqrt(2) times that of one.
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
    """What the reference architectures of a study say of its budget.

    Args:
        records: of the study.
        budget: of the search.
        noise: of the runs at this budget.
        worth: smallest gain that matters, in units of IoU; ``default_worth`` where left out.
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
    """The same at the budget that is ranked; None where nothing is.

    Args:
        records: of the study.
        ranking: of these.
        worth: as for ``plain_convergence``.
    """
    if ranking.budget is None:
        return None
    return plain_convergence(records, ranking.budget, ranking.noise, worth)
