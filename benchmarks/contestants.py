"""Ways to search that ``strategies.py`` compares: the product's own, and what people do without it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from optuna.samplers import TPESampler

from nas_attn.analysis import pareto_front
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.strategy import STRATEGIES, Proposal, Question, Step, Strategy, next_step
from nas_attn.strategy.new_placements import nearest_new, newness
from nas_attn.strategy.optuna_samplers import ask
from nas_attn.strategy.question import generator, sampler_seed

POPULATION, SAMPLE = 25, 8
REDUCTION = 3
SEEDS = 3
"""In turn, of those who search with several."""


@dataclass(frozen=True)
class Ladders:
    """The budgets of a search, the shortest first; both end with the same.

    Args:
        scratch: whose shorter runs start from scratch.
        plain: whose shorter runs start from the trained plain U-Net.
    """

    scratch: tuple[Budget, ...]
    plain: tuple[Budget, ...]

    @property
    def top(self) -> Budget:
        """Of a full run."""
        return self.scratch[-1]


Searcher = Callable[[Question, Ladders], Step | None]
"""From the records so far to the next evaluation; None at the end."""


@dataclass(frozen=True)
class Contestant:
    """A way to search and to choose.

    Args:
        search: what it evaluates.
        n_seeds: with so many seeds in turn.
        pooled: it chooses by what the model of effects expects, not by the placements' own scores.
        n_rungs: so many short budgets it needs.
    """

    search: Searcher
    n_seeds: int = 1
    pooled: bool = False
    n_rungs: int = 0


def full(strategy: Strategy) -> Searcher:
    """Every evaluation at the top budget."""
    return lambda question, ladders: next_step(strategy, question, ladders.scratch[-1:], ())


def short(strategy: Strategy, rung: int) -> Searcher:
    """Every evaluation at one lower budget, from scratch, by which it is judged, too."""
    return lambda question, ladders: next_step(strategy, question, ladders.scratch[rung : rung + 1], ())


def short_from_plain(strategy: Strategy, rung: int) -> Searcher:
    """The same, from the trained plain U-Net."""
    return lambda question, ladders: next_step(strategy, question, ladders.plain[rung : rung + 1], ())


def climbing(strategy: Strategy) -> Searcher:
    """On the product's ladder, from scratch."""
    return lambda question, ladders: next_step(strategy, question, ladders.scratch, ())


def climbing_from_plain(
    strategy: Strategy, lower: tuple[int, ...] = (0, 1), *, on_proof: bool = False
) -> Searcher:
    """On the product's ladder from the trained plain U-Net, or on some of its lower rungs and the top."""

    def step(question: Question, ladders: Ladders) -> Step | None:
        rungs = (*(ladders.plain[rung] for rung in lower), ladders.top)
        return next_step(strategy, question, rungs, (), on_proof=on_proof)

    return step


def univariate_tpe(question: Question) -> Proposal | None:
    """Optuna 5's default for two objectives: one location at a time."""
    answer = ask(question, TPESampler(seed=sampler_seed(question)), attempts=4)
    return None if answer is None else Proposal(answer[0])


def regularised_evolution(question: Question) -> Proposal | None:
    """The child of a tournament's winner among the youngest (Real et al. 2019, arXiv:1802.01548).

    With two objectives the winner is the best of those that cost no more than a random one of the tournament.
    """
    random_, is_new = generator(question), newness(question)
    alive = sorted(question.records, key=lambda record: record.number)[-POPULATION:]
    if len(question.records) < POPULATION:
        start = question.space.sample(random_)
    else:
        tournament = random_.sample(alive, SAMPLE)
        ceiling = question.cost(random_.choice(tournament).placement)
        rivals = [record for record in tournament if question.cost(record.placement) <= ceiling]
        start = _mutated(question, max(rivals, key=_iou).placement, random_)
    placement = nearest_new(question, is_new, start, random_)
    return None if placement is None else Proposal(placement)


def successive_halving(question: Question, ladders: Ladders) -> Step | None:
    """Asynchronous successive halving over random placements, for two objectives.

    (Li et al. 2020, arXiv:1810.05934; Schmucker et al. 2021, arXiv:2106.12639.) A rung's best third is promoted:
    by layers of non-domination, and within a layer the most remote first.
    """
    for lower, upper in reversed(list(pairwise(ladders.scratch))):
        rung = [record for record in question.records if record.budget == lower]
        started = {record.placement for record in question.records if record.budget == upper}
        best = _by_layers([(_iou(record), question.cost(record.placement)) for record in rung])
        for index in best[: len(rung) // REDUCTION]:
            if rung[index].placement not in started:
                return Step(Proposal(rung[index].placement), upper)
    proposal = STRATEGIES["random"](question)
    return None if proposal is None else Step(proposal, ladders.scratch[0])


def contestants() -> Mapping[str, Contestant]:
    """By the name under which they are printed."""
    own = STRATEGIES
    additive, tpe = own["additive"], own["tpe"]
    return {
        "additive": Contestant(full(additive), SEEDS, pooled=True),
        "additive, one seed": Contestant(full(additive), pooled=True),
        "additive, by scores": Contestant(full(additive), SEEDS),
        "additive, one seed, by scores": Contestant(full(additive)),
        "random": Contestant(full(own["random"])),
        "random, pooled": Contestant(full(own["random"]), SEEDS, pooled=True),
        "tpe": Contestant(full(tpe)),
        "tpe, pooled": Contestant(full(tpe), SEEDS, pooled=True),
        "tpe, univariate": Contestant(full(univariate_tpe)),
        "gp": Contestant(full(own["gp"])),
        "nsga2": Contestant(full(own["nsga2"])),
        "evolution": Contestant(full(regularised_evolution)),
        "additive, ladder": Contestant(climbing_from_plain(additive), pooled=True, n_rungs=2),
        "additive, 1/9 and 1": Contestant(climbing_from_plain(additive, (0,)), pooled=True, n_rungs=1),
        "additive, 1/9 on proof": Contestant(
            climbing_from_plain(additive, (0,), on_proof=True), SEEDS, pooled=True, n_rungs=1
        ),
        "additive, ladder on proof": Contestant(
            climbing_from_plain(additive, on_proof=True), SEEDS, pooled=True, n_rungs=2
        ),
        "additive, 1/3 and 1": Contestant(climbing_from_plain(additive, (1,)), pooled=True, n_rungs=2),
        "additive, scratch ladder": Contestant(climbing(additive), pooled=True, n_rungs=2),
        "tpe, ladder": Contestant(climbing_from_plain(tpe), n_rungs=2),
        "successive halving": Contestant(successive_halving, n_rungs=1),
        "tpe, 1/3 only": Contestant(short(tpe, 1), n_rungs=2),
        "tpe, 1/9 only": Contestant(short(tpe, 0), n_rungs=1),
        "random, 1/9 only": Contestant(short(own["random"], 0), n_rungs=1),
        "tpe, 1/9 from plain": Contestant(short_from_plain(tpe, 0), n_rungs=1),
        "additive, 1/9 from plain": Contestant(short_from_plain(additive, 0), pooled=True, n_rungs=1),
    }


def _iou(record: TrialRecord) -> float:
    return -1.0 if record.outcome is None else record.outcome.score.iou


def _mutated(question: Question, parent: Placement, random_: random.Random) -> Placement:
    """With another attention at one location that offers any."""
    location, specs = random_.choice([pair for pair in question.space.choices if len(pair[1]) > 1])
    return parent.replace(location, random_.choice([spec for spec in specs if spec != parent[location]]))


def _by_layers(points: Sequence[tuple[float, float]]) -> list[int]:
    """Rows of (IoU, cost), the best layer first."""
    left, order = list(range(len(points))), []
    while left:
        layer = [left[index] for index in pareto_front([points[row] for row in left])]
        order += sorted(layer, key=lambda row: -_remoteness(points, layer, row))
        left = [row for row in left if row not in layer]
    return order


def _remoteness(points: Sequence[tuple[float, float]], layer: Sequence[int], row: int) -> float:
    """Distance between the neighbours in a layer, each side over its range; infinite at the ends."""
    total = 0.0
    for side in (0, 1):
        values = np.unique([points[other][side] for other in layer])
        place = int(np.searchsorted(values, points[row][side]))
        if place in (0, len(values) - 1):
            return float("inf")
        total += float(values[place + 1] - values[place - 1]) / float(values[-1] - values[0])
    return total
