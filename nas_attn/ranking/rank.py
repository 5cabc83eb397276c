"""From records to a ranking by architecture, with intervals, ties and the front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from nas_attn.errors import UsageError, did_you_mean
from nas_attn.ranking.additive import SeedScores, mean
from nas_attn.ranking.describe import verdict
from nas_attn.ranking.fresh import reported_scores, screening_seed
from nas_attn.ranking.noise import Noise, PooledSd, pooled_noise
from nas_attn.ranking.pareto import pareto_front
from nas_attn.ranking.result import Interval, RankedPlacement, Ranking, Versus
from nas_attn.ranking.runs import PlacementRuns, select_runs
from nas_attn.ranking.shrink import Levels, adjusted_mean, shrunken_levels
from nas_attn.ranking.unstable import own_noise, unstable_rows
from nas_attn.record import Cost, TrialRecord

COSTS: Mapping[str, Callable[[Cost], float | None]] = {
    "macs": lambda cost: cost.macs,
    "parameters": lambda cost: cost.parameters,
    "latency": lambda cost: cost.latency_ms,
    "memory": lambda cost: cost.peak_memory_mib,
}

_SAME_DIGITS = 12  # beyond which scores differ by rounding only


def rank(records: Sequence[TrialRecord], *, cost: str = "macs", confidence: float = 0.95) -> Ranking:
    """Rank the placements of a study by the IoU to expect of each.

    - Only complete runs of one budget count (``runs.select_runs``).
    - The order is by shrunken estimates (``shrink.shrunken_levels``), so that one lucky run does not lead.
    - Differences to the plain U-Net are paired: seed by seed, which removes what a seed does to both. Their
      intervals are Student's, with one noise pooled over all placements (``noise.pooled_noise``).
    - A placement of which a run collapsed widens its own intervals only (``unstable.unstable_rows``).
    - What several seeds are reported of excludes the seed that chose the placement (``fresh.reported_scores``).
    - A placement is tied with the first where the interval of their paired difference includes 0.

    Args:
        records: of one study, in any order.
        cost: second axis of the front: ``macs``, ``parameters``, ``latency`` or ``memory``.
        confidence: of all intervals, above 0 and below 1.
    Raises:
        UsageError: the cost is unknown or the confidence is out of its range.
    """
    _check(cost, confidence)
    selected = select_runs(records)
    runs = selected.runs
    table = [run.scores for run in runs]
    screening = screening_seed(table)
    plain = next((number for number, run in enumerate(runs) if run.is_plain), None)
    plain_scores = None if plain is None else table[plain]
    reported = [reported_scores(scores, screening, plain_scores) for scores in table]
    unstable = unstable_rows(table) - {plain}
    # The plain U-Net is in the finals whatever its score: all of its runs tell of the noise.
    noise = pooled_noise(
        [table[row] if row == plain else reported[row] for row in range(len(runs)) if row not in unstable]
    )
    noises = [
        own_noise(seeds, plain_scores, noise) if row in unstable else noise for row, seeds in enumerate(reported)
    ]
    levels = shrunken_levels(table, noise.pair.sd if noise.pair else None, plain)
    rows = [
        _row(
            runs[row], reported[row], plain_scores, noises[row], confidence, levels.expected[row], row in unstable
        )
        for row in range(len(runs))
    ]
    front = _front(rows, cost)
    order = sorted(range(len(rows)), key=lambda number: _sort_key(rows[number], cost))
    ranked = tuple(
        replace(
            rows[number],
            rank=place,
            on_front=number in front,
            tied_with_best=_tied(
                reported[order[0]], reported[number], levels, _larger(noises, order[0], number), confidence
            ),
        )
        for place, number in enumerate(order, start=1)
    )
    plain_row = next((row for row in ranked if row.is_plain), None)
    return Ranking(
        rows=ranked,
        plain=plain_row,
        cost=cost,
        confidence=confidence,
        noise=noise,
        spread_sd=levels.spread_sd,
        screening_seed=screening,
        budget=selected.budget,
        notes=(*selected.notes, *_notes(ranked, cost, noise, screening)),
        verdict=verdict(ranked, plain_row),
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


def _row(
    run: PlacementRuns,
    reported: SeedScores,
    plain: SeedScores | None,
    noise: Noise,
    confidence: float,
    expected: float,
    unstable: bool,
) -> RankedPlacement:
    """A row that does not know its rank yet."""
    iou_mean = mean(reported.values())
    shared = [] if plain is None else [seed for seed in reported if seed in plain]
    delta = mean(reported[seed] - plain[seed] for seed in shared) if plain and shared else None
    delta_interval = _around(delta, noise.pair, len(shared), confidence)
    if run.is_plain:
        delta, delta_interval = 0.0, Interval(0.0, 0.0)
    iou_interval = _around(iou_mean, noise.run, len(reported), confidence)
    return RankedPlacement(
        rank=0,
        placement=run.placement,
        control=run.control,
        seeds=tuple(sorted(reported)),
        fresh=len(reported) < len(run.scores),
        iou_mean=iou_mean,
        iou_interval=iou_interval and Interval(max(0.0, iou_interval.low), min(1.0, iou_interval.high)),
        iou_expected=round(expected, _SAME_DIGITS),
        delta=delta,
        delta_interval=delta_interval,
        better_than_plain=_versus(delta_interval),
        tied_with_best=None,
        on_front=False,
        unstable=unstable,
        cost=run.cost,
    )


def _around(centre: float | None, noise: PooledSd | None, n_seeds: int, confidence: float) -> Interval | None:
    if centre is None or noise is None:
        return None
    half = noise.half_width(n_seeds, confidence)
    return Interval(centre - half, centre + half)


def _versus(interval: Interval | None) -> Versus:
    if interval is None:
        return Versus.UNKNOWN
    if not interval.excludes(0.0):
        return Versus.NOT_DISTINGUISHABLE
    return Versus.BETTER if interval.low > 0 else Versus.WORSE


def _tied(
    best: SeedScores, other: SeedScores, levels: Levels, pair: PooledSd | None, confidence: float
) -> bool | None:
    """Whether the difference to the first may be 0: paired where they share seeds, else freed of the seeds'
    effects as the additive model estimates them."""
    if best is other:
        return True
    if pair is None:
        return None
    shared = [seed for seed in other if seed in best]
    if shared:
        difference, n_seeds = mean(best[seed] - other[seed] for seed in shared), float(len(shared))
    else:
        difference = adjusted_mean(best, levels.effects) - adjusted_mean(other, levels.effects)
        n_seeds = 2.0 / (1.0 / len(best) + 1.0 / len(other))
    return abs(difference) <= pair.half_width(n_seeds, confidence)


def _larger(noises: Sequence[Noise], one: int, other: int) -> PooledSd | None:
    """The noise of a difference between two placements: the louder one's."""
    pairs = [pair for pair in (noises[one].pair, noises[other].pair) if pair is not None]
    return max(pairs, key=lambda pair: pair.sd, default=None)


def _front(rows: Sequence[RankedPlacement], cost: str) -> set[int]:
    known = [(number, value) for number, row in enumerate(rows) if (value := cost_of(row, cost)) is not None]
    return {known[index][0] for index in pareto_front([(rows[n].iou_expected, value) for n, value in known])}


def _sort_key(row: RankedPlacement, cost: str) -> tuple[float, float, str]:
    value = cost_of(row, cost)
    return (-row.iou_expected, float("inf") if value is None else value, row.placement.id)


def _notes(rows: Sequence[RankedPlacement], cost: str, noise: Noise, screening: int | None) -> list[str]:
    if not rows:
        return []
    notes = []
    if not any(row.is_plain for row in rows):
        notes.append("The plain U-Net was not evaluated at this budget: no differences to it are known.")
    elif apart := sum(row.delta is None for row in rows):
        notes.append(f"{apart} of {len(rows)} placements share no seed with the plain U-Net: no difference known.")
    if noise.pair is None:
        notes.append("No two placements share two seeds: the noise is not known, and so there are no intervals.")
    if unstable := sum(row.unstable for row in rows):
        notes.append(
            f"!  unstable: {unstable} of {len(rows)} placements have a run far outside of the others' noise; "
            "they are judged by their own scatter and left out of the pooled noise."
        )
    if any(row.fresh for row in rows):
        notes.append(
            f"Placements with several seeds are reported without seed {screening}, which chose them; "
            "the order uses all seeds."
        )
    if missing := sum(cost_of(row, cost) is None for row in rows):
        notes.append(f"{missing} of {len(rows)} placements have no {cost}: they cannot be on the front.")
    return notes
