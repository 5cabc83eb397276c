"""Who gets further seeds: the plain U-Net and the placements that lead so far."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

from nas_attn.budget import Budget
from nas_attn.placement import Placement
from nas_attn.ranking import Evidence, front_of, order_of
from nas_attn.record import Role, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategies import expected_ious
from nas_attn.study.evaluation import Evaluation

FURTHER_SEEDS = 5
"""Seeds that a finalist gets on average, besides the one it was screened with."""
_LEAST_RUNS = 2
_TELLING_SEEDS = 12
_CONFIDENCE = 0.95


def next_finalist(
    records: Sequence[TrialRecord],
    pending: Sequence[TrialRecord],
    *,
    seen: Sequence[TrialRecord],
    space: SearchSpace,
    ladder: tuple[Budget, ...],
    screening: Sequence[int],
    cost: str,
    n_finalist_trials: int,
) -> Evaluation:
    """The evaluation that the race needs most.

    So many leaders are raced, the plain U-Net among them, that each can get ``FURTHER_SEEDS`` seeds; where
    the trials are too few for two racers, they get fewer seeds. Leaders are the first of the ranking that are not
    surely worse than the very first, and, for a third of the places, the first of the others that lie on the
    front. In this ranking stands for a single run what the model of effects expects of its placement. Who is
    surely worse loses its place to the next one, so that no seed is spent on what is decided.

    Seeds go where they separate the leaders: of the racers that have two runs, to the one that lacks most of its
    share by ``_shares``. All take the same seeds in the same order, the plain U-Net before the others, so that all
    differences are paired.

    Args:
        records: finished trials that may be looked at, of all placements that may lead.
        pending: trials whose results must not be looked at.
        seen: all finished trials that may be looked at, from which the model of effects learns.
        space: of the study.
        ladder: budgets of the search, the shortest first; runs of the last are raced.
        screening: seeds with which placements were screened; the further ones count up from the last of them.
        cost: the second objective.
        n_finalist_trials: how many trials the race has in all.
    """
    plain, budget = space.plain, ladder[-1]
    known = [record for record in records if record.budget == budget]
    started = [record for record in (*known, *pending) if record.budget == budget]
    seeds: dict[Placement, set[int]] = {plain: set()}
    for record in started:
        if record.seed not in screening:
            seeds.setdefault(record.placement, set()).add(record.seed)
    further = max(1, min(FURTHER_SEEDS, n_finalist_trials // 2))
    evidence = _pooled(Evidence.of(known), seen, space, ladder)
    race = _Race.of(evidence, known, plain, cost, max(2, n_finalist_trials // further))
    numbers = [1 + len(seeds.get(racer, ())) for racer in race.racers]
    chosen = race.racers[_neediest(numbers, race.levels, race.noise)]
    ahead = sorted(seeds.get(chosen, set()) - seeds[plain])
    if ahead:
        return Evaluation(plain, budget, ahead[0], Role.FINALIST)
    following = _next_seed(seeds.get(chosen, set()), max(screening) + 1)
    first = plain if following not in seeds[plain] else chosen
    return Evaluation(first, budget, following, Role.FINALIST)


@dataclass(frozen=True)
class _Race:
    """Who is raced, the plain U-Net first.

    Args:
        racers: placements.
        levels: what to expect of each; the lowest of the others where it is not known.
        noise: variance of a paired difference; 0 where it is not known.
    """

    racers: list[Placement]
    levels: list[float]
    noise: float

    @classmethod
    def of(
        cls, evidence: Evidence, records: Sequence[TrialRecord], plain: Placement, cost: str, places: int
    ) -> _Race:
        """The leaders, the best first; those whose runs failed are not among them."""
        failures = Counter(record.placement for record in records if record.outcome is None)
        front, placements = front_of(evidence, cost), [run.placement for run in evidence.selected.runs]
        rows = [
            row for row in order_of(evidence, cost) if placements[row].attended and not failures[placements[row]]
        ]
        by_front = max(0, (places - 1) // 3)
        open_ = (row for row in rows if not _is_decided(evidence, rows[0], row))
        leaders = list(islice(open_, places - 1 - by_front))
        leaders += [row for row in rows if row in front and row not in leaders][:by_front]
        leaders += [row for row in rows if row not in leaders][: places - 1 - len(leaders)]
        expected = [evidence.levels.expected[row] for row in leaders]
        least = min(expected, default=0.0)
        own = least if evidence.plain is None else evidence.levels.expected[evidence.plain]
        pair = evidence.noise.pair
        return cls([plain, *(placements[row] for row in leaders)], [own, *expected], pair.sd**2 if pair else 0.0)


def _pooled(
    evidence: Evidence, records: Sequence[TrialRecord], space: SearchSpace, ladder: tuple[Budget, ...]
) -> Evidence:
    """With what the model of effects expects of those that have a single run; their mean stays.

    Of hundreds of single runs the highest is mostly luck, of its seed or its own. What all runs say of its
    attentions is not.
    """
    runs = evidence.selected.runs
    single = [row for row, run in enumerate(runs) if len(run.scores) == 1]
    modelled = expected_ious(space, records, [runs[row].placement for row in single], ladder)
    if not modelled:
        return evidence
    expected = list(evidence.levels.expected)
    away = fmean(expected[row] for row in single) - fmean(modelled.values())
    for row in single:
        expected[row] = modelled[runs[row].placement] + away
    return replace(evidence, levels=replace(evidence.levels, expected=tuple(expected)))


def _is_decided(evidence: Evidence, best: int, row: int) -> bool:
    """Whether a placement is surely worse than the first."""
    if row == best:
        return False
    interval = evidence.difference(best, row).interval(_CONFIDENCE)
    return interval is not None and interval.low > 0


def _neediest(numbers: Sequence[int], levels: Sequence[float], noise: float) -> int:
    """Who has fewer than two runs, the fewest first; else who lacks most of its share of one more run."""
    fewest = min(range(len(numbers)), key=lambda racer: numbers[racer])
    if numbers[fewest] < _LEAST_RUNS or noise == 0:
        return fewest
    shares = _shares(levels, noise)
    total = sum(numbers) + 1
    return max(range(len(numbers)), key=lambda racer: shares[racer] * total - numbers[racer])


def _shares(levels: Sequence[float], noise: float) -> list[float]:
    """Optimal computing budget allocation: each racer's share of all runs.

    With the same noise for all, a racer at the distance d below the best gets runs in proportion to 1 / d^2, and
    the best the root of the sum of the others' squares: that makes it likeliest that the best of the race is the
    best in truth (Chen, Lin, Yücesan and Chick 2000, doi:10.1023/A:1008349927281, theorem 1). Distances too small
    to be told with a dozen seeds count alike, or the runs would all go to two equals.
    """
    best = max(range(len(levels)), key=lambda racer: levels[racer])
    least = math.sqrt(noise / _TELLING_SEEDS)
    weights = [1.0 / max(levels[best] - level, least) ** 2 for level in levels]
    weights[best] = math.sqrt(sum(weight**2 for racer, weight in enumerate(weights) if racer != best))
    return [weight / sum(weights) for weight in weights]


def _next_seed(used: set[int], first: int) -> int:
    seed = first
    while seed in used:
        seed += 1
    return seed
