"""Which strategy finds the better front for the same number of trials, on made-up tasks with a known truth.

The task is a lookup table (``LookupEvaluator``): effects of single attentions, of pairs, and noise. What a
strategy would choose after so many trials is the front of its observed scores; it is judged by the true IoU of
those placements: the area above the plain U-Net that they dominate up to 1.5 times its MACs, in IoU points. Tasks
of this kind suit a model of single effects and pairs; what real tasks are like is another question.

    python benchmarks/strategies.py
    python benchmarks/strategies.py --strategies additive,tpe --repetitions 20 --interactions 0.6
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import optuna

from nas_attn.attention import catalogue
from nas_attn.budget import Budget
from nas_attn.errors import NasAttnError
from nas_attn.evaluate import CostTable, LookupEvaluator
from nas_attn.placement import Placement
from nas_attn.ranking import pareto_front
from nas_attn.record import Role, State, TrialRecord
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategies import STRATEGIES, Question

_CONVERGED = Budget(3000, 32, 8)
_CEILING = 1.5


@dataclass(frozen=True)
class Point:
    """What a strategy has found after some trials.

    Args:
        strategy: its name.
        trials: of each repetition.
        area: true hypervolume of the chosen front, in IoU points; mean over the repetitions.
        error: standard error of that mean.
        propose_ms: CPU time of a proposal up to there, on average.
    """

    strategy: str
    trials: int
    area: float
    error: float
    propose_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Search and print."""
    asked = _parser().parse_args(arguments)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = read_space(asked.space, catalogue(), base_channels=8, image_size=32)
    costs = CostTable(space.network, 32, 32)
    points: list[Point] = []
    try:
        for name in asked.strategies:
            points += _play(name, space, costs, asked)
            if not asked.json:
                print(_row(points[-len(asked.trials) :], first=name == asked.strategies[0]), flush=True)
    except NasAttnError as error:
        print(error, file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps([asdict(point) for point in points], indent=1))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", type=lambda text: text.split(","), default=["additive", "tpe", "random"])
    parser.add_argument("--space", default="unet_attention")
    parser.add_argument(
        "--trials", type=_numbers, default=(25, 50, 100, 200), help="where to look, such as 50,200"
    )
    parser.add_argument("--repetitions", type=int, default=6, help="tasks and seeds")
    parser.add_argument("--interactions", type=float, default=0.3, help="share of the variance from pairs")
    parser.add_argument("--noise", type=float, default=0.006, help="standard deviation of a run, in IoU")
    parser.add_argument("--json", action="store_true")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(part) for part in text.split(",")))


def _play(name: str, space: SearchSpace, costs: CostTable, asked: argparse.Namespace) -> list[Point]:
    macs = lru_cache(maxsize=None)(lambda placement: float(costs(placement).macs))
    areas: dict[int, list[float]] = {trials: [] for trials in asked.trials}
    started, spent = time.process_time(), {}
    for repetition in range(asked.repetitions):
        task = LookupEvaluator(space, repetition, interaction_share=asked.interactions, run_noise=asked.noise)
        records = [_record(0, space.plain, {}, task, repetition)]
        while len(records) < asked.trials[-1]:
            proposal = STRATEGIES[name](
                Question(
                    space=space,
                    records=tuple(records),
                    pending=(),
                    number=len(records),
                    seed=repetition,
                    cost=macs,
                    objective_cost="macs",
                    allowed=lambda placement: not space.limits.reasons(costs(placement), costs.plain),
                )
            )
            if proposal is None:
                break
            records.append(_record(len(records), proposal.placement, dict(proposal.memory), task, repetition))
            if len(records) in areas:
                areas[len(records)].append(_area(records, task, macs, space.plain))
                spent[len(records)] = (time.process_time() - started) / (repetition + 1) / len(records)
    return [
        Point(
            name,
            trials,
            statistics.fmean(found),
            statistics.stdev(found) / math.sqrt(len(found)) if len(found) > 1 else math.nan,
            1000 * spent[trials],
        )
        for trials, found in areas.items()
        if found
    ]


def _record(number: int, placement: Placement, memory: dict, task: LookupEvaluator, seed: int) -> TrialRecord:  # type: ignore[type-arg]
    outcome = task(placement, _CONVERGED, seed)
    return TrialRecord(
        number, placement, _CONVERGED, seed, Role.PROPOSAL, State.COMPLETE, outcome=outcome, memory=memory
    )


def _area(
    records: Sequence[TrialRecord], task: LookupEvaluator, macs: Callable[[Placement], float], plain: Placement
) -> float:
    """What the observed front is truly worth."""
    observed = [
        (record.outcome.score.iou, macs(record.placement)) for record in records if record.outcome is not None
    ]
    chosen = [records[index].placement for index in pareto_front(observed)]
    least, most = task.truth(plain), _CEILING * macs(plain)
    area, best = 0.0, least
    for placement in sorted(chosen, key=macs):
        truth = task.truth(placement)
        if truth > best:
            area += (truth - best) * (most - macs(placement)) / (most - macs(plain))
            best = truth
    return 100 * area


def _row(points: Sequence[Point], *, first: bool) -> str:
    head = f"{'trials':<10}" + "".join(f"{point.trials:>14}" for point in points) + f"{'ms/proposal':>14}"
    row = f"{points[0].strategy:<10}" + "".join(f"{point.area:>8.2f} ±{point.error:4.2f}" for point in points)
    row += f"{points[-1].propose_ms:>14.1f}"
    return f"{head}\n{row}" if first else row


if __name__ == "__main__":
    sys.exit(main())
