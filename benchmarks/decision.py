"""How soon does a search say, rightly, that a placement gains enough to matter, or that none does?

Studies of worlds whose truth is known (``worlds.py``) are played by three who are asked for the same gain:

- the product, whose searches end once their question is settled;
- the same schedule and statistics with random placements in the place of proposals;
- the search that one would write by hand: Optuna's TPE with one run for each placement, then its best and the
  plain U-Net again, under fresh seeds that both share, until Student's 95 % interval of their difference lies
  beyond what matters. That nothing gains so much it cannot say.

The measure is compute, in runs of the full budget. Nothing is trained.

    python benchmarks/decision.py
    python benchmarks/decision.py --world null --studies 20 --worth 1
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from statistics import fmean, median, stdev

import optuna
from claims import BUDGET, allowed, searched, study_space
from optuna.samplers import TPESampler
from worlds import WORLDS, Truth, World

from nas_attn.analysis import rank
from nas_attn.analysis.quantiles import two_sided_quantile
from nas_attn.analysis.result import claimed_row
from nas_attn.analysis.settled import judged
from nas_attn.analysis.verdict import Decision
from nas_attn.models.placement import AttentionSpec, Placement
from nas_attn.record import Cost, Role
from nas_attn.strategy.evaluation import Evaluation

_FREE = Cost(0, 0)
_LEAST_PAIRS, _MOST_PAIRS = 5, 40
_TRIALS_BY_HAND = (25, 50, 100, 200)
_PLAYED = ("null", "sparse", "dense", "large")


@dataclass(frozen=True)
class Decided:
    """How one study ended.

    Args:
        runs: that it took, in runs of the full budget.
        right: whether what it said is true; None where it said nothing.
        gain: true gain of the placement that was said to gain what matters, in IoU points; None for none.
    """

    runs: float
    right: bool | None
    gain: float | None = None


def by_product(world: World, number: int, *, worth: float, trials: int, strategy: str = "additive") -> Decided:
    """A study of the product, until its question is settled.

    Args:
        world: what is true.
        number: of the study.
        worth: gain that matters, in IoU points.
        trials: after so many it ends in any case.
        strategy: that proposes.
    """
    truth, records = searched(world, number, trials, stop=True, worth=worth / 100, strategy=strategy)
    runs = sum(record.budget.steps / BUDGET.steps for record in records)
    known = judged(records, worth / 100)
    decision = None if known is None else known.decision
    if decision is Decision.BETTER and (row := claimed_row(rank(records))) is not None:
        return _better(truth, row.placement, runs, worth)
    return Decided(runs, None if decision is None else 100 * truth.attainable(allowed) <= worth)


def by_hand(world: World, number: int, *, worth: float, trials: int) -> Decided:
    """A search by Optuna's TPE, and its best beside the plain U-Net until what it gains is known.

    Args:
        world: what is true.
        number: of the study.
        worth: gain that matters, in IoU points.
        trials: of the search.
    """
    truth = world.draw(study_space()[0], number)
    best = _best_by_tpe(truth, number, trials)
    differences: list[float] = []
    for seed in range(10_000, 10_000 + _MOST_PAIRS):
        differences.append(100 * (_iou(truth, best, seed) - _iou(truth, truth.space.plain, seed)))
        low, high = _interval(differences)
        if low > worth:
            return _better(truth, best, trials + 2 * len(differences), worth)
        if high < worth:
            break  # this one does not gain so much; of all others nothing is known
    return Decided(trials + 2 * len(differences), None)


def _better(truth: Truth, placement: Placement, runs: float, worth: float) -> Decided:
    gain = 100 * truth.gain(placement)
    return Decided(runs, gain >= worth, gain)


def _best_by_tpe(truth: Truth, number: int, trials: int) -> Placement:
    """The placement whose run scored highest."""
    scored: list[tuple[float, Placement]] = []

    def objective(trial: optuna.Trial) -> float:
        chosen = {
            location: AttentionSpec.parse(trial.suggest_categorical(str(location), [str(spec) for spec in specs]))
            for location, specs in truth.space.choices
        }
        placement = Placement.of(chosen)
        if not allowed(placement):
            raise optuna.TrialPruned
        scored.append((_iou(truth, placement, 1 + len(scored)), placement))
        return scored[-1][0]

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=number))
    while len(scored) < trials:
        study.optimize(objective, n_trials=1)
    return max(scored, key=lambda pair: pair[0])[1]


def _iou(truth: Truth, placement: Placement, seed: int) -> float:
    return truth.outcome(Evaluation(placement, BUDGET, seed, Role.PROPOSAL), _FREE).score.iou


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's, of the mean; without end for fewer than five values."""
    if len(values) < _LEAST_PAIRS:
        return -float("inf"), float("inf")
    reach = two_sided_quantile(0.95, len(values) - 1) * stdev(values) / len(values) ** 0.5
    return fmean(values) - reach, fmean(values) + reach


def contestants(worth: float, trials: int) -> Iterator[tuple[str, partial[Decided]]]:
    """All that decide, by the names under which they are printed.

    Args:
        worth: gain that matters, in IoU points.
        trials: that the product's studies have at most.
    """
    yield "nas-attn", partial(by_product, worth=worth, trials=trials)
    yield "nas-attn, random placements", partial(by_product, worth=worth, trials=trials, strategy="random")
    for count in _TRIALS_BY_HAND:
        yield f"by hand, {count} trials", partial(by_hand, worth=worth, trials=count)


def summary(decided: Sequence[Decided], *, seed: int = 0) -> dict[str, float | None]:
    """Shares of the studies, the median of the compute until a right answer, and the mean true gain.

    A study that says nothing, or what is wrong, never gets there. The interval of the median is by resampling.
    One that names no placement gains nothing.

    Args:
        decided: of one world and one contestant.
        seed: of the resampling.
    """
    taken = [one.runs if one.right else float("inf") for one in decided]
    draw = random.Random(seed)
    medians = sorted(median(draw.choices(taken, k=len(taken))) for _ in range(1000))
    low, high = medians[25], medians[974]
    return {
        "studies": len(decided),
        "right": fmean(one.right is True for one in decided),
        "wrong": fmean(one.right is False for one in decided),
        **{name: _finite(value) for name, value in (("runs", median(taken)), ("low", low), ("high", high))},
        "spent": fmean(one.runs for one in decided),
        "gain": fmean(one.gain or 0.0 for one in decided),
    }


def _finite(value: float) -> float | None:
    return None if value == float("inf") else value


def _decide(task: tuple[str, int, partial[Decided]]) -> Decided:
    name, number, play = task
    return play(WORLDS[name], number)


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", action="append", choices=list(WORLDS), help=f"may be given again {_PLAYED}")
    parser.add_argument("--studies", type=int, default=12, help="of each world [12]")
    parser.add_argument("--seed", type=int, default=0, help="number of the first study [0]")
    parser.add_argument("--worth", type=float, default=0.5, help="gain that matters, in IoU points [0.5]")
    parser.add_argument("--trials", type=int, default=400, help="that a study of the product has at most [400]")
    parser.add_argument("--workers", type=int, default=2, help="processes [2]")
    parser.add_argument("--json", action="store_true", help="an object for each world and contestant")
    asked = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # of the processes that play
    numbers = range(asked.seed, asked.seed + asked.studies)
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
        for world in asked.world or _PLAYED:
            for name, play in contestants(asked.worth, asked.trials):
                found = summary(list(pool.map(_decide, [(world, number, play) for number in numbers])))
                told = {"world": world, "by": name, "worth": asked.worth, **found}
                print(json.dumps(told) if asked.json else _text(told), flush=True)


def _text(told: dict[str, object]) -> str:
    def runs(name: str) -> str:
        return "never" if told[name] is None else f"{told[name]:.0f}"

    return (
        f"{told['world']:8} {told['by']:28} right {told['right']:4.0%}, wrong {told['wrong']:4.0%}, "
        f"half of the studies within {runs('runs')} runs ({runs('low')} to {runs('high')}); "
        f"{told['spent']:.0f} spent on average, {told['gain']:+.1f} points gained"
    )


if __name__ == "__main__":
    main()
