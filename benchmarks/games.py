"""Tasks on which a search is looked up instead of run, and a search that is played on one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean

import optuna
from contestants import Contestant, Ladders
from tabular import Table

from nas_attn.attention import catalogue
from nas_attn.budget import Budget, rungs
from nas_attn.evaluate import CostTable, LookupEvaluator
from nas_attn.placement import Placement
from nas_attn.ranking import pareto_front
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategies import Question

_CONVERGED = Budget(2700, 32, 8)
_CEILING = 1.5


@dataclass(frozen=True, eq=False)
class Game:
    """One search, but for who searches.

    Args:
        space: the placements.
        ladders: budgets.
        look_up: IoU that a run of a placement shows.
        truth: IoU of a placement at the top budget that the search does not see.
        cost: MACs.
        allowed: whether a placement keeps the limits.
        ceiling: the highest cost of interest.
        seed: of the strategy.
    """

    space: SearchSpace
    ladders: Ladders
    look_up: Callable[[Placement, Budget], float]
    truth: Callable[[Placement], float]
    cost: Callable[[Placement], float]
    allowed: Callable[[Placement], bool]
    ceiling: float
    seed: int


@dataclass(frozen=True)
class Found:
    """What a search has after some compute.

    Args:
        area: true gain in IoU points over the plain U-Net of what it would choose, averaged over all ceilings of
            the cost between the plain U-Net's and the highest.
        gain: of its first choice, whatever it costs.
    """

    area: float
    gain: float


def play(contestant: Contestant, game: Game, looks: Sequence[float]) -> Mapping[float, Found]:
    """Search until the compute is spent.

    Args:
        contestant: who searches.
        game: what it searches.
        looks: amounts of compute, ascending, in runs of the top budget, after which it is judged. The plain
            U-Net's run, which everybody begins with, is free. Where nothing new is left, it is judged by what it
            has.
    """
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    records = [_record(game, 0, game.space.plain, game.ladders.top, Role.CONTROL, {})]
    spent, found = 0.0, {}
    for look in looks:
        while spent < look:
            step = contestant(_question(game, records), game.ladders)
            if step is None:
                break
            proposal = step.proposal
            if spent + (share := step.budget.steps / game.ladders.top.steps) > look + 1e-9:
                break
            memory = dict(proposal.memory)
            records.append(_record(game, len(records), proposal.placement, step.budget, Role.PROPOSAL, memory))
            spent += share
        found[look] = _judged(game, records)
    return found


def made_up_game(space: SearchSpace, number: int, *, interactions: float, spread: float, noise: float) -> Game:
    """A task of effects of single attentions and of pairs: one that suits a model of such effects.

    Args:
        space: the placements.
        number: of the task.
        interactions: share of the variance between placements that pairs have.
        spread: standard deviation between placements that attend everywhere, in IoU.
        noise: of a run, likewise.
    """
    task = LookupEvaluator(space, number, spread=spread, interaction_share=interactions, run_noise=noise)
    costs = _costs(space)
    macs = lru_cache(maxsize=None)(lambda placement: float(costs(placement).macs))
    return Game(
        space=space,
        ladders=_ladders(_CONVERGED),
        look_up=lambda placement, budget: task(placement, budget, number).score.iou,
        truth=task.truth,
        cost=macs,
        allowed=lambda placement: not space.limits.reasons(costs(placement), costs.plain),
        ceiling=_CEILING * macs(space.plain),
        seed=number,
    )


def tabulated_game(space: SearchSpace, table: Table, number: int) -> Game:
    """Real runs: the search sees those of one seed, the truth is the mean of the others."""
    seed = table.seeds[number % len(table.seeds)]
    others = [other for other in table.seeds if other != seed]
    place = {placement: index for index, placement in enumerate(space.placements())}
    costs = _costs(space)
    macs = {placement: float(costs(placement).macs) for placement in place}
    return Game(
        space=space,
        ladders=_ladders(Budget(table.steps[-1], space.height, 8)),
        look_up=lambda placement, budget: table.ious[place[placement], budget.steps, budget.pretraining, seed],
        truth=lambda placement: fmean(table.ious[place[placement], table.steps[-1], 0, other] for other in others),
        cost=macs.__getitem__,
        allowed=lambda placement: True,
        ceiling=max(macs.values()),
        seed=number,
    )


def _ladders(top: Budget) -> Ladders:
    return Ladders(rungs("auto", top), rungs("auto", top, pretrained=True))


def sized_space(name: str) -> SearchSpace:
    """A space at the size of the benchmarks.

    Args:
        name: or path.
    """
    return read_space(name, catalogue(), base_channels=8, image_size=32)


def read_table(path: Path, space: SearchSpace) -> Table:
    """The runs of a whole space.

    Raises:
        UsageError: too few are there.
    """
    return Table.read(path, space.size)


@lru_cache(maxsize=4)
def _costs(space: SearchSpace) -> CostTable:
    return CostTable(space.network, space.height, space.width)


def _question(game: Game, records: Sequence[TrialRecord]) -> Question:
    return Question(
        space=game.space,
        records=tuple(records),
        pending=(),
        number=len(records),
        seed=game.seed,
        cost=game.cost,
        objective_cost="macs",
        allowed=game.allowed,
    )


def _record(
    game: Game, number: int, placement: Placement, budget: Budget, role: Role, memory: Mapping[str, object]
) -> TrialRecord:
    iou = game.look_up(placement, budget)
    outcome = Outcome(Score(iou, (iou,), 0.0), Cost(0, int(game.cost(placement))), (), 0.0)
    return TrialRecord(number, placement, budget, 0, role, State.COMPLETE, outcome=outcome, memory=memory)


def _judged(game: Game, records: Sequence[TrialRecord]) -> Found:
    """By the runs of the highest budget at which it proposed anything."""
    proposed = [record for record in records if record.role is Role.PROPOSAL]
    if not proposed:
        return Found(0.0, 0.0)
    judged = max(record.budget for record in proposed)
    runs = [record for record in proposed if record.budget == judged]
    plain = game.space.plain
    points = [(game.look_up(plain, judged), game.cost(plain), plain)]
    points += [(game.look_up(run.placement, judged), game.cost(run.placement), run.placement) for run in runs]
    front = sorted((points[index] for index in pareto_front([point[:2] for point in points])), key=lambda p: p[1])
    least, area = game.truth(plain), 0.0
    edges = [*(max(cost, game.cost(plain)) for _, cost, _ in front), game.ceiling]
    for (_, _, placement), low, high in zip(front, edges, edges[1:], strict=False):
        area += (game.truth(placement) - least) * max(0.0, min(high, game.ceiling) - min(low, game.ceiling))
    best = max(point for point in front if point[1] <= game.ceiling or point[2] == plain)[2]
    return Found(100 * area / (game.ceiling - game.cost(plain)), 100 * (game.truth(best) - least))
