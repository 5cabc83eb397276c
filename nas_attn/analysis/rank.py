"""From records to a ranking by architecture, with intervals, ties and the front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

from nas_attn.analysis.by_metric import metric_of
from nas_attn.analysis.evidence import Estimate, Evidence
from nas_attn.analysis.order import COSTS, expected_ious, front_of, order_of
from nas_attn.analysis.result import Interval, RankedPlacement, Ranking, Versus
from nas_attn.analysis.timed import timed_by
from nas_attn.errors import UsageError, did_you_mean
from nas_attn.latencies import LatencyTable
from nas_attn.record import TrialRecord


def rank(
    records: Sequence[TrialRecord],
    *,
    cost: str = "macs",
    confidence: float = 0.95,
    latencies: LatencyTable | None = None,
) -> Ranking:
    """Rank the placements of a study by the IoU, or other metric of the records, to expect of each.

    - Only complete runs of one budget count (``runs.select_runs``), without those that collapsed
      (``collapse.find_collapses``), which are told apart from the IoU of the others.
    - The order is by the IoU to expect (``gains.gains_of``): one posterior of all runs, less what a placement's
      risk of collapsing costs. What was tested comes before what was only tried.
    - Tested is what shares two seeds with the plain U-Net. Of a finalist only its runs as such are reported
      (``finalists.reported_scores``): they had no say in its choice.
    - Differences to the plain U-Net are paired: seed by seed, which removes what a seed does to both. Their
      intervals are over seeds, with one noise pooled over all placements (``noise.pooled_noise``) and what
      finalists share (``finalists.shared_ratio``), and over images (``evidence``). They hold together for all that
      was tested (``quantiles``): the best of nine finalists is ahead by luck more often than one would be.
    - Better than the plain U-Net is what this interval and the IoU to expect both say to be.
    - Ties are by the same estimate of the pair; what was only tried is tied by the posterior.

    Args:
        records: of one study, in any order.
        cost: second axis of the front: ``macs``, ``parameters``, ``latency`` or ``memory``.
        confidence: of all intervals, above 0 and below 1.
        latencies: of placements that were timed together, in whose unit all are told (``timed_by``); those of the
            trials themselves where left out.
    Raises:
        UsageError: the cost is unknown or the confidence is out of its range.
    """
    _check(cost, confidence)
    evidence = Evidence.of(timed_by(records, latencies))
    ious = expected_ious(evidence)
    rows = [_row(evidence, number, ious, confidence) for number in range(len(ious))]
    front, order = front_of(evidence, ious, cost), order_of(evidence, ious, cost)
    likely = evidence.front_probabilities(ious, [cost_of(row, cost) for row in rows])
    ranked = tuple(
        replace(
            rows[number],
            rank=place,
            on_front=number in front,
            front_probability=likely[number],
            tied_with_best=_tied(evidence, order[0], number, confidence),
        )
        for place, number in enumerate(order, start=1)
    )
    return Ranking(
        rows=ranked,
        plain=next((row for row in ranked if row.is_plain), None),
        cost=cost,
        confidence=confidence,
        noise=evidence.noise,
        n_tested=len(evidence.tested),
        collapsed_seeds=tuple(sorted(evidence.collapses.seeds)),
        n_runs=evidence.n_runs,
        left_out=evidence.selected.left_out,
        metric=metric_of(records),
        image_groups=evidence.image_groups,
        fewest_groups_of_a_class=evidence.fewest_groups_of_a_class,
        latencies=latencies,
    )


def cost_of(row: RankedPlacement, cost: str) -> float | None:
    """The chosen cost of a row; None where it was not measured."""
    return COSTS[cost](row.cost)


def _check(cost: str, confidence: float) -> None:
    found = []
    if cost not in COSTS:
        found.append(f"unknown cost '{cost}'; {did_you_mean(cost, COSTS)}")
    if not 0 < confidence < 1:
        found.append(f"confidence is {confidence!r}; it must be above 0 and below 1, such as 0.95")
    if found:
        raise UsageError(found)


def _row(evidence: Evidence, number: int, ious: Sequence[float], confidence: float) -> RankedPlacement:
    """A row that does not know its rank yet."""
    run, reported = evidence.selected.runs[number], evidence.reported[number]
    iou, delta = evidence.mean(number), evidence.to_plain(number)
    interval = _delta_interval(evidence, number, delta, confidence)
    gain = None if evidence.plain is None else ious[number] - ious[evidence.plain]
    return RankedPlacement(
        rank=0,
        placement=run.placement,
        control=run.control,
        seeds=tuple(sorted(reported or run.scores)),
        fresh=bool(reported) and reported.keys() <= run.final,
        tested=number in evidence.tested,
        iou_mean=iou.value,
        iou_interval=_within_bounds(iou.interval(confidence)),
        iou_expected=ious[number],
        gain=gain,
        delta=None if delta is None else delta.value,
        delta_interval=interval,
        better_than_plain=_versus(interval, gain),
        tied_with_best=None,
        on_front=False,
        unstable=number in evidence.unstable,
        n_collapsed=len(evidence.collapses.runs[number]),
        n_runs=evidence.collapses.n_runs[number],
        cost=run.cost,
    )


def _delta_interval(evidence: Evidence, number: int, delta: Estimate | None, confidence: float) -> Interval | None:
    """Of the difference to the plain U-Net, together with all that was tested; None for what was only tried."""
    if number == evidence.plain:
        return Interval(0.0, 0.0)
    return None if delta is None or number not in evidence.tested else evidence.together(delta, confidence)


def _within_bounds(interval: Interval | None) -> Interval | None:
    """Of an IoU, which is neither below 0 nor above 1."""
    return interval and Interval(max(0.0, interval.low), min(1.0, interval.high))


def _versus(interval: Interval | None, gain: float | None) -> Versus:
    if interval is None or gain is None:
        return Versus.UNKNOWN
    if interval.low > 0 and gain > 0:
        return Versus.BETTER
    return Versus.WORSE if interval.high < 0 else Versus.NOT_DISTINGUISHABLE


def _tied(evidence: Evidence, best: int, other: int, confidence: float) -> bool | None:
    """Whether the difference to the first may be 0; None where no noise is known."""
    if best == other:
        return True
    if evidence.noise.pair is None:
        return None
    known = {*evidence.tested, evidence.plain}
    if best in known and other in known and (estimate := evidence.difference(best, other)) is not None:
        interval = evidence.together(estimate, confidence)
    else:
        interval = _posterior_interval(evidence, best, other, confidence)
    return None if interval is None else not interval.excludes(0.0)


def _posterior_interval(evidence: Evidence, one: int, other: int, confidence: float) -> Interval:
    """Of the difference between two gains."""
    gains = evidence.gains
    centre = float(gains.mean[one] - gains.mean[other])
    half = NormalDist().inv_cdf((1 + confidence) / 2) * gains.difference_sd(one, other)
    return Interval(centre - half, centre + half)
