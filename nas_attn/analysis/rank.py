"""Rank placements from the records of a study, with intervals, ties and the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from nas_attn.analysis.costs import COSTS, cost_of, timed_by
from nas_attn.analysis.evidence import Estimate, Evidence
from nas_attn.analysis.front import DRAWS, front_probabilities, nearest_to_front, pareto_front
from nas_attn.analysis.result import Interval, RankedPlacement, Ranking, Versus
from nas_attn.analysis.runs import metric_of
from nas_attn.errors import UsageError, did_you_mean
from nas_attn.latencies import LatencyTable
from nas_attn.record import TrialRecord

_SAME_DIGITS = 12  # later digits differ by rounding only


def rank(
    records: Sequence[TrialRecord],
    *,
    cost: str = "macs",
    confidence: float = 0.95,
    latencies: LatencyTable | None = None,
) -> Ranking:
    """Rank the placements of a study by expected IoU, or by the other metric that the records are judged by.

    - Only complete runs of one budget count (``runs.select_runs``). Collapsed runs do not count; they are
      recognised from the IoU of the other runs (``collapse.find_collapses``).
    - Rows are ordered by expected IoU: the posterior of all runs (``gains.gains_of``), minus the expected loss
      from the placement's risk of collapsing. Tested placements come before placements that were only tried.
    - A placement is tested if it shares at least two seeds with the baseline. For a finalist, only its runs in the
      finals are reported (``finalists.reported_scores``), because they played no part in choosing it.
    - Differences to the plain U-Net are paired by seed, which removes the effect that a seed has on both. Their
      intervals cover seeds and images (``evidence``). The seed part uses one noise pooled over all placements
      (``noise.pooled_noise``) and the luck that finalists share (``finalists.shared_ratio``). The intervals are
      simultaneous for all tested placements (``quantiles``), because the best of nine finalists is ahead by luck
      more often than a single one would be.
    - A placement is better than the plain U-Net if both this interval and the expected IoU say so.
    - Ties are decided by the same estimate of the pair. For placements that were only tried, the posterior
      decides.

    Args:
        records: of one study, in any order.
        cost: second axis of the front: ``macs``, ``parameters``, ``latency`` or ``memory``.
        confidence: of all intervals, above 0 and below 1.
        latencies: of placements that were timed together; all latencies are converted to their unit
            (``timed_by``). If omitted, the latencies measured in the trials are used.
    Raises:
        UsageError: the cost is unknown or the confidence is out of its range.
    """
    _check(cost, confidence)
    evidence = Evidence.of(timed_by(records, latencies))
    ious = expected_ious(evidence)
    rows = [_row(evidence, number, ious, confidence) for number in range(len(ious))]
    front, order = front_of(evidence, ious, cost), _order_of(evidence, ious, cost)
    likely = _front_probabilities(evidence, ious, [cost_of(row, cost) for row in rows])
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


def expected_ious(evidence: Evidence) -> tuple[float, ...]:
    """Expected IoU of each row over the seeds seen, minus the expected loss from collapsed trainings."""
    gains, risks = evidence.gains, evidence.collapses.losses
    return tuple(
        round(gains.level + float(gain) - risk, _SAME_DIGITS) for gain, risk in zip(gains.mean, risks, strict=True)
    )


def front_of(evidence: Evidence, ious: Sequence[float], cost: str) -> frozenset[int]:
    """Pareto-optimal rows; rows without a measured cost are left out."""
    costs = [COSTS[cost](run.cost) for run in evidence.selected.runs]
    known = [(row, value) for row, value in enumerate(costs) if value is not None]
    return frozenset(known[i][0] for i in pareto_front([(ious[row], v) for row, v in known]))


def _check(cost: str, confidence: float) -> None:
    found = []
    if cost not in COSTS:
        found.append(f"unknown cost '{cost}'; {did_you_mean(cost, COSTS)}")
    if not 0 < confidence < 1:
        found.append(f"confidence is {confidence!r}; it must be above 0 and below 1, such as 0.95")
    if found:
        raise UsageError(found)


def _order_of(evidence: Evidence, ious: Sequence[float], cost: str) -> list[int]:
    """All rows, best first; the cheaper of two equal rows comes first.

    The plain U-Net and the placements tested beside it come before all others, which only the model can judge. So
    no placement leads on the strength of a single run.

    Args:
        evidence: of a study.
        ious: expected IoU of each row.
        cost: which one decides between equal rows.
    """
    tested = {*evidence.tested, evidence.plain}

    def key(row: int) -> tuple[bool, float, float, str]:
        run = evidence.selected.runs[row]
        value = COSTS[cost](run.cost)
        return (row not in tested, -ious[row], float("inf") if value is None else value, run.placement.id)

    return sorted(range(len(evidence.selected.runs)), key=key)


def _front_probabilities(
    evidence: Evidence, ious: Sequence[float], costs: Sequence[float | None]
) -> tuple[float | None, ...]:
    """Probability that each row is Pareto-optimal; None if its cost or the noise is not known.

    Args:
        evidence: of a study.
        ious: expected IoU of each row.
        costs: of each row.
    """
    known = [row for row, cost in enumerate(costs) if cost is not None]
    if evidence.noise.pair is None or not known:
        return (None,) * len(costs)
    likely = nearest_to_front([ious[row] for row in known], [cost for cost in costs if cost is not None])
    known = [known[place] for place in likely]
    groups = evidence.image_groups or 0
    images = np.zeros((len(known), groups))
    for place, row in enumerate(known):
        if held := list(evidence.influences[row].values()):
            images[place] = np.mean(held, axis=0)
    shares = front_probabilities(
        [ious[row] for row in known],
        evidence.gains.rest_covariance(known),
        images,
        [costs[row] or 0.0 for row in known],
        evidence.noise.pair.degrees_of_freedom,
        evidence.gains.own_draws(known, DRAWS),
    )
    found = dict(zip(known, shares, strict=True))
    return tuple(None if cost is None else found.get(row, 0.0) for row, cost in enumerate(costs))


def _row(evidence: Evidence, number: int, ious: Sequence[float], confidence: float) -> RankedPlacement:
    """One row of the ranking, with rank, ties and front not filled in yet."""
    run, reported = evidence.selected.runs[number], evidence.reported[number]
    iou, delta = evidence.mean(number), evidence.to_baseline(number)
    interval = _delta_interval(evidence, number, delta, confidence)
    gain = None if evidence.plain is None else ious[number] - ious[evidence.plain]
    return RankedPlacement(
        rank=0,
        placement=run.placement,
        reference=run.reference,
        seeds=tuple(sorted(reported or run.scores)),
        fresh=bool(reported) and reported.keys() <= run.final,
        tested=number in evidence.tested,
        iou_mean=iou.value,
        iou_interval=_within_bounds(iou.interval(confidence)),
        iou_expected=ious[number],
        gain=gain,
        delta=None if delta is None else delta.value,
        delta_interval=interval,
        better_than_baseline=_versus(interval, gain),
        tied_with_best=None,
        on_front=False,
        unstable=number in evidence.unstable,
        n_collapsed=len(evidence.collapses.runs[number]),
        n_runs=evidence.collapses.n_runs[number],
        cost=run.cost,
    )


def _delta_interval(evidence: Evidence, number: int, delta: Estimate | None, confidence: float) -> Interval | None:
    """Simultaneous interval of the difference to the plain U-Net; None for a placement that was only tried."""
    if number == evidence.plain:
        return Interval(0.0, 0.0)
    return None if delta is None or number not in evidence.tested else evidence.together(delta, confidence)


def _within_bounds(interval: Interval | None) -> Interval | None:
    """The interval of an IoU, cut to the range from 0 to 1."""
    return interval and Interval(max(0.0, interval.low), min(1.0, interval.high))


def _versus(interval: Interval | None, gain: float | None) -> Versus:
    if interval is None or gain is None:
        return Versus.UNKNOWN
    if interval.low > 0 and gain > 0:
        return Versus.BETTER
    return Versus.WORSE if interval.high < 0 else Versus.NOT_DISTINGUISHABLE


def _tied(evidence: Evidence, best: int, other: int, confidence: float) -> bool | None:
    """Whether the difference to the first row may be 0; None if the noise is not known."""
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
    """Posterior interval of the difference between two gains."""
    gains = evidence.gains
    centre = float(gains.mean[one] - gains.mean[other])
    half = NormalDist().inv_cdf((1 + confidence) / 2) * gains.difference_sd(one, other)
    return Interval(centre - half, centre + half)
