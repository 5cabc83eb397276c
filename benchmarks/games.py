"""Tasks on which a search is looked up instead of run, and a search that is played on one."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Literal

import optuna
from contestants import Contestant, Ladders
from tabular import Table

from nas_attn.analysis import pareto_front
from nas_attn.budget import Budget, rungs
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, Outcome, Role, Score, State, TrialRecord
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategy import Proposal, Question, Step, expected_ious
from nas_attn.strategy.schedule.turns import turn
from nas_attn.strategy.seed_effects import known_placements
from nas_attn.training.evaluation import CostTable, LookupEvaluator

_CONVERGED = Budget(2700, 32, 8)
_CEILING = 1.5


@dataclass(frozen=True, eq=False)
class Game:
    """One search, but for who searches.

    Args:
        space: the placements.
        ladders: budgets.
        look_up: IoU that a run of a placement shows with a seed.
        seeds: those that may be searched with.
        truth: IoU of a placement at the top budget that the search does not see.
        cost: MACs.
        allowed: whether a placement keeps the limits.
        ceiling: the highest cost of interest.
        seed: of the strategy.
    """

    space: SearchSpace
    ladders: Ladders
    look_up: Callable[[Placement, Budget, int], float]
    seeds: Sequence[int]
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
            U-Net's run, which everybody begins with, is free; one with a further seed is not. Where nothing new is
            left, it is judged by what it has.
    """
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = game.seeds[: contestant.n_seeds]
    records = [_record(game, 0, Step(Proposal(game.space.plain), game.ladders.top, seeds[0]), Role.REFERENCE)]
    spent, found = 0.0, {}
    for look in looks:
        while spent < look:
            role, step = _next(contestant, game, records, seeds)
            if step is None:
                break
            if spent + (share := step.budget.steps / game.ladders.top.steps) > look + 1e-9:
                break
            records.append(_record(game, len(records), step, role))
            spent += share
        found[look] = _judged(game, records, pooled=contestant.pooled)
    return found


def _next(
    contestant: Contestant, game: Game, records: Sequence[TrialRecord], seeds: Sequence[int]
) -> tuple[Role, Step | None]:
    """As a study goes on: a seed begins with the plain U-Net's run."""
    seed = turn(len({record.placement for record in records if record.role is Role.PROPOSAL}), seeds)
    if not any(record.seed == seed and record.role is Role.REFERENCE for record in records):
        return Role.REFERENCE, Step(Proposal(game.space.plain), game.ladders.top, seed)
    step = contestant.search(_question(game, records), game.ladders)
    if step is not None and step.seed is None:
        step = replace(step, seed=seed)
    return Role.PROPOSAL, step


def made_up_game(
    space: SearchSpace,
    number: int,
    *,
    interactions: float,
    spread: float,
    noise: float,
    luck: float = 0.0,
    disturbance: float = 0.0,
    quiet: float = 1.0,
) -> Game:
    """A task of effects of single attentions and of pairs: one that suits a model of such effects.

    Args:
        space: the placements.
        number: of the task.
        interactions: share of the variance between placements that pairs have.
        spread: standard deviation between placements that attend everywhere, in IoU.
        noise: of a run, likewise.
        luck: of what the attentions of a placement that attends everywhere gain with a seed, likewise.
        disturbance: of what they do to the trained weights of the plain U-Net when they are put in, likewise.
        quiet: a run that starts from these has so many times the noise and luck of others.
    """
    task = LookupEvaluator(
        space,
        number,
        spread=spread,
        interaction_share=interactions,
        run_noise=noise,
        luck=luck,
        disturbance=disturbance,
        quiet=quiet,
    )
    costs = _costs(space)
    macs = lru_cache(maxsize=None)(lambda placement: float(costs(placement).macs))
    return Game(
        space=space,
        ladders=_ladders(_CONVERGED),
        look_up=lambda placement, budget, seed: task(placement, budget, seed).score.iou,
        seeds=range(100),
        truth=task.truth,
        cost=macs,
        allowed=lambda placement: not space.limits.reasons(costs(placement), costs.plain),
        ceiling=_CEILING * macs(space.plain),
        seed=number,
    )


def tabulated_game(space: SearchSpace, table: Table, number: int, *, n_rungs: int) -> Game:
    """Real runs: the search sees those of half of the seeds, the truth is the mean of the others.

    Args:
        space: of the table.
        table: the runs.
        number: of the game, which decides about the seeds.
        n_rungs: where there are any, the search sees seeds that have short runs.
    """
    random_ = random.Random(number)
    shown = list(table.short_seeds if n_rungs else table.seeds)
    random_.shuffle(shown)
    shown = shown[: len(table.seeds) // 2]
    others = [other for other in table.seeds if other not in shown]
    place = {placement: index for index, placement in enumerate(space.placements())}
    costs = _costs(space)
    macs = {placement: float(costs(placement).macs) for placement in place}
    return Game(
        space=space,
        ladders=_ladders(Budget(table.steps[-1], space.height, 8), table.steps[:-1]),
        look_up=lambda placement, budget, seed: table.ious[
            place[placement], budget.steps, budget.pretraining, seed
        ],
        seeds=shown,
        truth=lambda placement: fmean(table.ious[place[placement], table.steps[-1], 0, other] for other in others),
        cost=macs.__getitem__,
        allowed=lambda placement: True,
        ceiling=max(macs.values()),
        seed=number,
    )


def _ladders(top: Budget, short: Sequence[int] | Literal["auto"] = "auto") -> Ladders:
    return Ladders(rungs(short, top), rungs(short, top, pretrained=True))


@lru_cache(maxsize=2)
def sized_space(name: str) -> SearchSpace:
    """A space at the size of the benchmarks.

    Args:
        name: or path.
    """
    return read_space(name, catalogue(), base_channels=8, image_size=32)


@lru_cache(maxsize=2)
def read_table(path: Path, space: SearchSpace) -> Table:
    """The runs of a whole space, read once.

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


def _record(game: Game, number: int, step: Step, role: Role) -> TrialRecord:
    placement, seed = step.proposal.placement, step.seed or 0
    iou = game.look_up(placement, step.budget, seed)
    outcome = Outcome(Score(iou, (iou,), 0.0), Cost(0, int(game.cost(placement))), (), 0.0)
    return TrialRecord(
        number,
        placement,
        step.budget,
        seed,
        role,
        State.COMPLETE,
        outcome=outcome,
        memory=dict(step.proposal.memory),
    )


def _judged(game: Game, records: Sequence[TrialRecord], *, pooled: bool) -> Found:
    """By the runs of the highest budget at which it proposed anything; where it pools, by those of all budgets.

    Who pools may choose what it has tried on any: a search gives the leaders their long runs at its end.
    """
    proposed = [record for record in records if record.role is Role.PROPOSAL]
    if not proposed:
        return Found(0.0, 0.0)
    judged = max(record.budget for record in proposed)
    runs = [record for record in records if record.budget == judged]
    plain = game.space.plain
    if all(run.placement != plain for run in runs):
        step = Step(Proposal(plain), judged, runs[0].seed)
        runs = [_record(game, len(records), step, Role.REFERENCE), *runs]
    ladder = tuple(sorted({record.budget for record in proposed}))
    scores = _scores(game, records if pooled and judged == game.ladders.top else runs, ladder, pooled=pooled)
    points = [(scores[placement], game.cost(placement), placement) for placement in scores]
    front = sorted((points[index] for index in pareto_front([point[:2] for point in points])), key=lambda p: p[1])
    least, area = game.truth(plain), 0.0
    edges = [*(max(cost, game.cost(plain)) for _, cost, _ in front), game.ceiling]
    for (_, _, placement), low, high in zip(front, edges, edges[1:], strict=False):
        area += (game.truth(placement) - least) * max(0.0, min(high, game.ceiling) - min(low, game.ceiling))
    best = max(point for point in front if point[1] <= game.ceiling or point[2] == plain)[2]
    return Found(100 * area / (game.ceiling - game.cost(plain)), 100 * (game.truth(best) - least))


def _scores(
    game: Game,
    runs: Sequence[TrialRecord],
    ladder: tuple[Budget, ...],
    *,
    pooled: bool,
) -> Mapping[Placement, float]:
    """By which each placement is judged."""
    placements = list(dict.fromkeys(run.placement for run in runs))
    if pooled and (expected := expected_ious(runs, placements, ladder)):
        return expected
    highest = max(run.budget for run in runs)
    judged = known_placements([run for run in runs if run.budget == highest])
    return {known.placement: known.iou or 0.0 for known in judged}
