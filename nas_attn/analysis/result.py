"""The ranking as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nas_attn.analysis.noise import LEAST_FREEDOM, Noise
from nas_attn.analysis.runs import LeftOut
from nas_attn.budget import Budget
from nas_attn.latencies import Latency, LatencyTable
from nas_attn.metric import MEAN_IOU, METRICS, Metric
from nas_attn.models.placement import Placement
from nas_attn.record import Cost


class Versus(StrEnum):
    """Result of the comparison with the plain U-Net."""

    BETTER = "better"
    WORSE = "worse"
    NOT_DISTINGUISHABLE = "not distinguishable"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Interval:
    """A confidence interval; for IoU in fractions of 1."""

    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Whether the value lies outside the interval."""
        return not self.low <= value <= self.high

    @classmethod
    def around(cls, value: float, reach: float, degrees_of_freedom: float) -> Interval | None:
        """The symmetric interval around a value; None below ``LEAST_FREEDOM`` degrees of freedom.

        With one or two degrees of freedom, Student's quantiles are so large (12.7 and 4.3) that the interval, such
        as -128.8 to 131.5 points, shows only that the noise is not known.

        Args:
            value: the centre.
            reach: half the width.
            degrees_of_freedom: the fewest behind any part of the reach.
        """
        return cls(value - reach, value + reach) if degrees_of_freedom >= LEAST_FREEDOM else None


@dataclass(frozen=True)
class RankedPlacement:
    """One placement of a ranking. IoU and differences of IoU are fractions of 1.

    Args:
        rank: from 1. Tested placements and the plain U-Net come first, by ``iou_expected``, then the placements
            that were only tried.
        placement: the placement.
        reference: its name as a reference architecture; None for other placements.
        seeds: of the runs behind ``iou_mean`` and ``delta``, ascending. ``delta`` uses only the seeds that the
            plain U-Net was also run with.
        fresh: whether these runs played no part in choosing the placement.
        tested: whether it shares at least two of these seeds with the plain U-Net. Otherwise it was only tried.
        iou_mean: mean IoU over the seeds, without collapsed runs.
        iou_interval: of that mean; None if no placement was run with several seeds, or with too few to estimate
            the noise (``LEAST_FREEDOM``).
        iou_expected: expected mean IoU given all runs of the study, including the risk of collapsing.
        gain: ``iou_expected`` minus that of the plain U-Net; decide by this figure. None if the plain U-Net was
            not run.
        delta: measured mean difference to the plain U-Net, paired by seed; 0 for the plain U-Net; None if they
            share no seed.
        delta_interval: of that difference, simultaneous for all tested placements; None if the placement was only
            tried, or if the noise is not known or rests on too few runs.
        better_than_baseline: the result that both that interval and ``gain`` support.
        tied_with_best: whether it cannot be distinguished from the first row; None if the noise is not known.
        on_front: whether it is Pareto-optimal by expected IoU and cost.
        unstable: whether it varies far more from seed to seed than the others.
        n_collapsed: number of its runs that collapsed.
        n_runs: number of its runs.
        cost: of the network.
        front_probability: probability of being Pareto-optimal, from draws of seeds and images; None if the
            noise or its cost is not known.
    """

    rank: int
    placement: Placement
    reference: str | None
    seeds: tuple[int, ...]
    fresh: bool
    tested: bool
    iou_mean: float
    iou_interval: Interval | None
    iou_expected: float
    gain: float | None
    delta: float | None
    delta_interval: Interval | None
    better_than_baseline: Versus
    tied_with_best: bool | None
    on_front: bool
    unstable: bool
    n_collapsed: int
    n_runs: int
    cost: Cost
    front_probability: float | None = None

    @property
    def n_seeds(self) -> int:
        """Number of seeds behind the row."""
        return len(self.seeds)

    @property
    def is_plain(self) -> bool:
        """Whether this is the plain U-Net."""
        return not self.placement.attended


@dataclass(frozen=True)
class Ranking:
    """All placements that were evaluated at one budget, best first.

    Args:
        rows: the placements; empty if no trial is complete.
        plain: the row of the plain U-Net; None if it was not evaluated.
        cost: ``macs``, ``parameters``, ``latency`` or ``memory``: the second axis of the front.
        confidence: of all intervals.
        noise: noise between seeds.
        n_tested: number of placements whose difference intervals are simultaneous.
        collapsed_seeds: seeds with which the plain U-Net collapsed; nothing is compared under them.
        n_runs: number of runs of all its placements.
        left_out: trials that the ranking does not use.
        metric: the metric of ``iou_mean`` and of all differences.
        image_groups: number of groups of images that the intervals cover besides the seeds; None if they cover
            seeds only, because the study did not keep its counts by image.
        fewest_groups_of_a_class: number of these groups in which the rarest class occurs; None in the same case.
        latencies: of the placements that were timed together; None if none were.
    """

    rows: tuple[RankedPlacement, ...]
    plain: RankedPlacement | None
    cost: str
    confidence: float
    noise: Noise
    n_tested: int
    collapsed_seeds: tuple[int, ...]
    n_runs: int
    left_out: LeftOut
    metric: Metric = METRICS[MEAN_IOU]
    image_groups: int | None = None
    fewest_groups_of_a_class: int | None = None
    latencies: LatencyTable | None = None

    def __repr__(self) -> str:
        return f"<ranking of {len(self.rows)} placements by {self.metric.name} and {self.cost}>"

    @property
    def budget(self) -> Budget | None:
        """Budget of all runs that were used; None if there are none."""
        return self.left_out.budget

    def latency_of(self, row: RankedPlacement) -> Latency | None:
        """Latency for one image, if the placement was timed together with the baseline; else None."""
        return None if self.latencies is None else self.latencies.of(row.placement)

    def batch_latency_of(self, row: RankedPlacement) -> Latency | None:
        """Latency for a batch, if the placement was timed together with the baseline; else None."""
        return None if self.latencies is None else self.latencies.batch_of(row.placement)


def claimed_row(ranking: Ranking) -> RankedPlacement | None:
    """The placement to verify if none is named; None if only the plain U-Net was evaluated.

    This is the first row that is better than the plain U-Net, or else the first row with attention.

    Args:
        ranking: of a study.
    """
    attended = [row for row in ranking.rows if not row.is_plain]
    better = (row for row in attended if row.better_than_baseline is Versus.BETTER)
    return next(better, attended[0] if attended else None)
