"""A ranking as a value."""

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
    """What the interval of a difference to the plain U-Net says."""

    BETTER = "better"
    WORSE = "worse"
    NOT_DISTINGUISHABLE = "not distinguishable"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Interval:
    """A confidence interval; of IoU, in fractions of 1."""

    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """The value lies outside."""
        return not self.low <= value <= self.high

    @classmethod
    def around(cls, value: float, reach: float, degrees_of_freedom: float) -> Interval | None:
        """The interval that reaches so far to both sides; None below ``LEAST_FREEDOM`` degrees of freedom.

        By one or two, Student's quantiles are so large (12.7 and 4.3) that such intervals say nothing but that the
        noise is not known: -128.8 to 131.5 points.

        Args:
            value: in the middle.
            reach: half its width.
            degrees_of_freedom: the fewest of what the reach rests on.
        """
        return cls(value - reach, value + reach) if degrees_of_freedom >= LEAST_FREEDOM else None


@dataclass(frozen=True)
class RankedPlacement:
    """One placement of a ranking. IoU and its differences are fractions of 1.

    Args:
        rank: from 1: first what was tested and the plain U-Net, by ``iou_expected``, then what was only tried.
        placement: what was ranked.
        reference: name of the reference that it is; None for what is not a reference.
        seeds: whose runs ``iou_mean`` and ``delta`` rest on, ascending; ``delta`` on those of them that the plain
            U-Net was run with too.
        fresh: these runs had no say in the choice of the placement.
        tested: it shares at least two of these seeds with the plain U-Net; else it was only tried.
        iou_mean: mean IoU over the seeds, without collapsed runs.
        iou_interval: of that mean; None where no placement was run with several seeds, or with too few to tell the
            noise (``LEAST_FREEDOM``).
        iou_expected: mean IoU to expect, given all runs of the study, with the risk of collapsing.
        gain: by how much that exceeds the plain U-Net's: the figure to go by; None where the plain U-Net was
            not run.
        delta: mean difference to the plain U-Net as it was measured, paired by seed; 0 for the plain U-Net; None
            where they share no seed.
        delta_interval: of that difference, together with those of all that was tested; None for what was only
            tried, or where the noise is not known, or by too few runs.
        better_than_baseline: what that interval says, and ``gain`` too.
        tied_with_best: not distinguishable from the first of the ranking; None where the noise is not known.
        on_front: no other placement is expected to have at least its IoU at no more than its cost.
        unstable: it scatters far more from seed to seed than the others.
        n_collapsed: how many of its runs collapsed.
        n_runs: how many there are.
        cost: what it costs.
        front_probability: that it is on the front, by draws of seeds and images; None where the noise or its cost
            is not known.
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
        """How many seeds the row rests on."""
        return len(self.seeds)

    @property
    def is_plain(self) -> bool:
        """It is the plain U-Net."""
        return not self.placement.attended


@dataclass(frozen=True)
class Ranking:
    """All placements that were evaluated at one budget, best first.

    Args:
        rows: the placements; empty where no trial is complete.
        plain: the row of the plain U-Net; None where it was not evaluated.
        cost: ``macs``, ``parameters``, ``latency`` or ``memory``: the second axis of the front.
        confidence: of all intervals.
        noise: the seed's part in the scores.
        n_tested: how many placements the intervals of differences hold for together.
        collapsed_seeds: with which the plain U-Net collapsed; nothing is compared under them.
        n_runs: how many runs its placements have together.
        left_out: trials that it does not rest on.
        metric: what ``iou_mean`` and all differences are of.
        image_groups: over how many groups of images the intervals are, besides the seeds; None where they are over
            seeds only, since the study did not keep its counts by image.
        fewest_groups_of_a_class: in how many of these groups the rarest class occurs; None likewise.
        latencies: of the placements that were timed together; None where none were.
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
        """Of all runs that were used; None where there are none."""
        return self.left_out.budget

    def latency_of(self, row: RankedPlacement) -> Latency | None:
        """How long one image takes, where the placement was timed together with the baseline; else None."""
        return None if self.latencies is None else self.latencies.of(row.placement)

    def batch_latency_of(self, row: RankedPlacement) -> Latency | None:
        """The same of a batch."""
        return None if self.latencies is None else self.latencies.batch_of(row.placement)


def claimed_row(ranking: Ranking) -> RankedPlacement | None:
    """What is verified without being named; None where only the plain U-Net was evaluated.

    The first row that is better than the plain U-Net, or else the first with attention.

    Args:
        ranking: of a study.
    """
    attended = [row for row in ranking.rows if not row.is_plain]
    better = (row for row in attended if row.better_than_baseline is Versus.BETTER)
    return next(better, attended[0] if attended else None)
