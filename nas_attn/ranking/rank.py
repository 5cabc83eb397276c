"""From records to a ranking by architecture, with intervals, ties and the front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nas_attn.errors import UsageError, did_you_mean
from nas_attn.ranking.describe import verdict
from nas_attn.ranking.evidence import Evidence
from nas_attn.ranking.order import COSTS, expected_iou, front_of, order_of
from nas_attn.ranking.result import Interval, RankedPlacement, Ranking, Versus
from nas_attn.record import TrialRecord


def rank(records: Sequence[TrialRecord], *, cost: str = "macs", confidence: float = 0.95) -> Ranking:
    """Rank the placements of a study by the IoU to expect of each.

    - Only complete runs of one budget count (``runs.select_runs``).
    - The order is by shrunken estimates (``shrink.shrunken_levels``), so that one lucky run does not lead.
    - Differences to the plain U-Net are paired: seed by seed, which removes what a seed does to both. Their
      intervals are over seeds, with one noise pooled over all placements (``noise.pooled_noise``), and over
      images (``evidence``).
    - A placement of which a run collapsed widens its own intervals only (``unstable.unstable_rows``).
    - What several seeds are reported of excludes the seeds that chose placements (``fresh.reported_scores``).
    - A placement is tied with the first where the interval of their paired difference includes 0.

    Args:
        records: of one study, in any order.
        cost: second axis of the front: ``macs``, ``parameters``, ``latency`` or ``memory``.
        confidence: of all intervals, above 0 and below 1.
    Raises:
        UsageError: the cost is unknown or the confidence is out of its range.
    """
    _check(cost, confidence)
    evidence = Evidence.of(records)
    rows = [_row(evidence, number, confidence) for number in range(len(evidence.reported))]
    front, order = front_of(evidence, cost), order_of(evidence, cost)
    likely = evidence.front_probabilities([cost_of(row, cost) for row in rows])
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
    plain_row = next((row for row in ranked if row.is_plain), None)
    return Ranking(
        rows=ranked,
        plain=plain_row,
        cost=cost,
        confidence=confidence,
        noise=evidence.noise,
        spread_sd=evidence.levels.spread_sd,
        screening_seeds=tuple(sorted(evidence.screening)),
        budget=evidence.selected.budget,
        notes=(*evidence.selected.notes, *_notes(ranked, cost, evidence)),
        verdict=verdict(ranked, plain_row),
        image_groups=evidence.image_groups,
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


def _row(evidence: Evidence, number: int, confidence: float) -> RankedPlacement:
    """A row that does not know its rank yet."""
    run, reported = evidence.selected.runs[number], evidence.reported[number]
    iou, delta = evidence.mean(number), evidence.to_plain(number)
    iou_interval = iou.interval(confidence)
    delta_interval = None if delta is None else delta.interval(confidence)
    if run.is_plain:
        delta_interval = Interval(0.0, 0.0)
    return RankedPlacement(
        rank=0,
        placement=run.placement,
        control=run.control,
        seeds=tuple(sorted(reported)),
        fresh=len(reported) < len(run.scores),
        iou_mean=iou.value,
        iou_interval=iou_interval and Interval(max(0.0, iou_interval.low), min(1.0, iou_interval.high)),
        iou_expected=expected_iou(evidence, number),
        delta=None if delta is None else delta.value,
        delta_interval=delta_interval,
        better_than_plain=_versus(delta_interval),
        tied_with_best=None,
        on_front=False,
        unstable=number in evidence.unstable,
        cost=run.cost,
    )


def _versus(interval: Interval | None) -> Versus:
    if interval is None:
        return Versus.UNKNOWN
    if not interval.excludes(0.0):
        return Versus.NOT_DISTINGUISHABLE
    return Versus.BETTER if interval.low > 0 else Versus.WORSE


def _tied(evidence: Evidence, best: int, other: int, confidence: float) -> bool | None:
    """Whether the difference to the first may be 0."""
    if best == other:
        return True
    interval = evidence.difference(best, other).interval(confidence)
    return None if interval is None else not interval.excludes(0.0)


def _notes(rows: Sequence[RankedPlacement], cost: str, evidence: Evidence) -> list[str]:
    if not rows:
        return []
    notes = []
    if not any(row.is_plain for row in rows):
        notes.append("The plain U-Net was not evaluated at this budget: no differences to it are known.")
    elif apart := sum(row.delta is None for row in rows):
        notes.append(f"{apart} of {len(rows)} placements share no seed with the plain U-Net: no difference known.")
    if evidence.noise.pair is None:
        notes.append("No two placements share two seeds: the noise is not known, and so there are no intervals.")
    if unstable := sum(row.unstable for row in rows):
        notes.append(
            f"!  unstable: {unstable} of {len(rows)} placements have a run far outside of the others' noise; "
            "they are judged by their own scatter and left out of the pooled noise."
        )
    if any(row.fresh for row in rows):
        seeds = sorted(evidence.screening)
        chose = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
        notes.append(
            f"Placements with several seeds are reported without {chose}, which chose them; "
            "the order uses all seeds."
        )
    if len(evidence.screening) > 1:
        notes.append(
            "IoU x100 is over a placement's own seeds, which differ: compare placements by their difference to "
            "the plain U-Net, which is paired."
        )
    if missing := sum(cost_of(row, cost) is None for row in rows):
        notes.append(f"{missing} of {len(rows)} placements have no {cost}: they cannot be on the front.")
    return notes
