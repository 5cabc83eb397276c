"""Who gets further seeds: the plain U-Net and the placements that lead so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from nas_attn.budget import Budget
from nas_attn.placement import Placement
from nas_attn.ranking import Evidence, front_of, order_of
from nas_attn.record import Role, TrialRecord
from nas_attn.study.evaluation import Evaluation

FURTHER_SEEDS = 5
"""Seeds that a finalist gets besides the one it was screened with."""


def next_finalist(
    records: Sequence[TrialRecord],
    pending: Sequence[TrialRecord],
    *,
    plain: Placement,
    budget: Budget,
    seed: int,
    cost: str,
    n_finalist_trials: int,
) -> Evaluation:
    """The evaluation that the race needs most.

    So many leaders are raced, the plain U-Net among them, that each can get ``FURTHER_SEEDS`` seeds; where
    the trials are too few for two racers, they get fewer seeds. Leaders are the first of the ranking and, for a
    third of the places, the first of the others that lie on the front. Who has the fewest seeds is next; a
    leader that falls back loses its place to the next one, so that no seed is spent on what is already decided.

    Args:
        records: finished trials that may be looked at, of all placements that may lead.
        pending: trials whose results must not be looked at.
        plain: the plain U-Net.
        budget: of the search.
        seed: with which all placements were screened; further seeds count up from it.
        cost: the second objective.
        n_finalist_trials: how many trials the race has in all.
    """
    known = [record for record in records if record.budget == budget]
    started = [record for record in (*known, *pending) if record.budget == budget]
    seeds: dict[Placement, set[int]] = {plain: set()}
    for record in started:
        seeds.setdefault(record.placement, set()).add(record.seed)
    further = max(1, min(FURTHER_SEEDS, n_finalist_trials // 2))
    racers = _racers(known, plain, cost, max(2, n_finalist_trials // further))
    chosen = min(racers, key=lambda racer: len(seeds.get(racer, ())))
    return Evaluation(chosen, budget, _next_seed(seeds.get(chosen, set()), seed), Role.FINALIST)


def _racers(records: Sequence[TrialRecord], plain: Placement, cost: str, places: int) -> list[Placement]:
    """The plain U-Net, then the leaders, the best first; those whose runs failed are not among them."""
    failures = Counter(record.placement for record in records if record.outcome is None)
    evidence = Evidence.of(records)
    front, placements = front_of(evidence, cost), [run.placement for run in evidence.selected.runs]
    rows = [row for row in order_of(evidence, cost) if placements[row] != plain and not failures[placements[row]]]
    by_front = max(0, (places - 1) // 3)
    leaders = rows[: places - 1 - by_front]
    leaders += [row for row in rows if row in front and row not in leaders][:by_front]
    leaders += [row for row in rows if row not in leaders][: places - 1 - len(leaders)]
    return [plain, *(placements[row] for row in leaders)]


def _next_seed(used: set[int], first: int) -> int:
    seed = first
    while seed in used:
        seed += 1
    return seed
