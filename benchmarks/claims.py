"""Does the whole product claim only what is true?  python benchmarks/claims.py --world null --studies 100

Each study is played by the product's own schedule, ranking, verdict and verification, against a world whose truth
is known: nothing is trained. ``--json`` prints one object; ``--world all`` goes through every world.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from multiprocessing import get_context
from statistics import NormalDist, fmean, stdev

from worlds import WORLDS, Truth, World

from nas_attn.analysis import Interval, Ranking, Versus, rank
from nas_attn.analysis.quantiles import simultaneous_quantile
from nas_attn.analysis.verdict import Decision, verdict_of
from nas_attn.budget import Budget
from nas_attn.errors import StudyError
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, Outcome, State, TrialRecord
from nas_attn.space import SearchSpace, read_space
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.strategy.schedule.finals import FURTHER_SEEDS, MOST_PLACES
from nas_attn.strategy.settings import StudySettings
from nas_attn.study.claim import Claim
from nas_attn.study.verified import verified_claim
from nas_attn.training import Precision, Recipe
from nas_attn.training.evaluation import CostTable, DataSource

BUDGET = Budget(steps=150, image_size=32, batch_size=8)


@dataclass(frozen=True)
class Played:
    """What one study said, and what is true. Gains in IoU points.

    Args:
        claimed: placements that were said to be better than the plain U-Net, each with its true gain.
        answered: true gain of what the answer says is better; None where it does not say so.
        leader_gain: true gain of the first of the ranking; of the plain U-Net 0.
        reported: what was said of it.
        interval: of its measured difference; None where the plain U-Net leads.
        best_gain: true gain of the best placement of the whole search.
        verified: what the verification says; None where nothing was verified.
        answer: of the study: better, equivalent or undecided.
        largest: what no placement was said to gain more than; None where that was not known.
        worth: what was taken for the smallest gain that matters.
        attainable: most that attentions truly gain together.
        trials: that the study took.
        seconds: that schedule and ranking took.
    """

    claimed: tuple[float, ...]
    answered: float | None
    leader_gain: float
    reported: float
    interval: Interval | None
    best_gain: float
    verified: str | None
    answer: str
    largest: float | None
    worth: float
    attainable: float
    trials: int
    seconds: float


def play(
    world: World, number: int, trials: int, *, verify: bool = False, stop: bool = False, at_once: int = 1
) -> Played:
    """One study of a world, from the first trial to the verdict.

    Args:
        world: what is true.
        number: of the study: its effects and its noise.
        trials: of the study.
        verify: whether the first is verified, too.
        stop: whether the study may end before, where its question is settled.
        at_once: for how many trials at once it is laid out: a trial is decided without those that may still run.
    """
    start = time.process_time()
    truth, records = searched(world, number, trials, stop=stop, parallel=at_once)
    ranking = rank(records)
    verdict = verdict_of(records, ranking=ranking, trials=trials)
    seconds = time.process_time() - start
    leader = ranking.rows[0]
    claims = [row for row in ranking.rows if row.better_than_baseline is Versus.BETTER]
    return Played(
        claimed=tuple(100 * truth.gain(row.placement) for row in claims),
        answered=None
        if verdict.answer is not Decision.BETTER or verdict.row is None
        else 100 * truth.gain(verdict.row.placement),
        leader_gain=100 * truth.gain(leader.placement),
        reported=100 * (leader.gain or 0.0),
        interval=None if leader.is_plain else leader.delta_interval,
        best_gain=100 * max(truth.gain(row.placement) for row in ranking.rows),
        verified=_verified(truth, records, ranking) if verify else None,
        answer=str(verdict.answer),
        largest=None if verdict.largest is None else 100 * verdict.largest,
        worth=100 * verdict.worth,
        attainable=100 * truth.attainable(allowed),
        trials=len(records),
        seconds=seconds,
    )


def searched(
    world: World, number: int, trials: int, **settings: bool | str | float | None
) -> tuple[Truth, list[TrialRecord]]:
    """What is true in one study of a world, and the study's trials.

    Args:
        world: what is true.
        number: of the study: its effects and its noise.
        trials: of the study.
        settings: of the search that are other than a benchmark's.
    """
    space, costs = study_space()
    truth = world.draw(space, number)
    agenda = Agenda(replace(_settings(space, trials, number), **settings), costs)  # type: ignore[arg-type]
    records: list[TrialRecord] = []
    while (evaluation := _following(agenda, records)) is not None:
        records.append(_record(len(records), truth.outcome(evaluation, _cost(evaluation.placement)), evaluation))
    return truth, records


def _following(agenda: Agenda, records: Sequence[TrialRecord]) -> Evaluation | None:
    visible = agenda.n_visible(records)
    return agenda.next(records[:visible], records[visible:])


def _verified(truth: Truth, records: Sequence[TrialRecord], ranking: Ranking) -> str | None:
    """What the verification on test data says of what the study claims; None where only plain was evaluated."""
    try:
        claim = Claim.of(records, ranking)
    except StudyError:
        return None
    wanted = claim.evaluations(5, ablate=False)
    on_test_data = truth.on_test_data
    runs = [_record(n, on_test_data.outcome(one, _cost(one.placement)), one) for n, one in enumerate(wanted)]
    return str(verified_claim(runs, claim).verdict)


def summary(world: World, played: Sequence[Played]) -> dict[str, float | int | str]:
    """What the studies of one world say together; rates and biases with their standard errors."""
    covered = [
        float(one.interval.low <= one.leader_gain / 100 <= one.interval.high) for one in played if one.interval
    ]
    figures = {
        "false_claim_rate": [float(any(gain <= 0 for gain in one.claimed)) for one in played],
        "false_answer_rate": [float(one.answered is not None and one.answered <= 0) for one in played],
        "leader_coverage": covered,
        "bias_points": [one.reported - one.leader_gain for one in played],
        "power": [float(any(gain > 0 for gain in one.claimed)) for one in played],
        "power_bound": [_bound(world, one.best_gain) for one in played],
        "leader_gain_points": [one.leader_gain for one in played],
        "best_gain_points": [one.best_gain for one in played],
        "seconds": [one.seconds for one in played],
    }
    equivalent = [one.answer == Decision.EQUIVALENT for one in played]
    figures |= {
        "false_equivalent_rate": [
            float(said and one.attainable > one.worth) for one, said in zip(played, equivalent, strict=True)
        ],
        "equivalent_rate": [float(said) for said in equivalent],
        "largest_coverage": [float(one.attainable <= one.largest) for one in played if one.largest is not None],
        "largest_points": [one.largest for one in played if one.largest is not None],
        "attainable_points": [one.attainable for one in played],
        "worth_points": [one.worth for one in played],
        "trials": [float(one.trials) for one in played],
    }
    found: dict[str, float | int | str] = {"world": world.name, "studies": len(played)}
    for name, values in figures.items():
        found[name], found[f"{name}_se"] = _mean(values, is_rate="rate" in name or "coverage" in name)
    for verdict in sorted({one.verified for one in played if one.verified is not None}):
        found[f"verify: {verdict}"] = sum(one.verified == verdict for one in played)
    return found


def _mean(values: Sequence[float], *, is_rate: bool) -> tuple[float, float]:
    """With its standard error; that of a rate is never 0 (Agresti and Coull 1998)."""
    number = len(values)
    if number < 2:
        return (fmean(values) if values else math.nan), math.nan
    if is_rate:
        share = (sum(values) + 2) / (number + 4)
        return fmean(values), (share * (1 - share) / (number + 4)) ** 0.5
    return fmean(values), stdev(values) / number**0.5


def _bound(world: World, gain: float) -> float:
    """How often a placement with this gain would be told from the plain U-Net among nine, with five seeds each and
    the noise known."""
    quantile = simultaneous_quantile(0.95, 1e6, MOST_PLACES - 1, 0.5)
    return NormalDist().cdf(gain / (world.paired_noise / FURTHER_SEEDS**0.5) - quantile)


@lru_cache(maxsize=1)
def study_space() -> tuple[SearchSpace, CostTable]:
    """What all studies search, and what placements of it cost."""
    space = read_space("unet_attention", catalogue(), base_channels=8, image_size=32)
    return space, CostTable(space.network, space.height, space.width)


def allowed(placement: Placement) -> bool:
    """Whether a placement keeps the limits of the space.

    Args:
        placement: of the space.
    """
    space, costs = study_space()
    return not space.limits.reasons(costs(placement), costs.plain)


@lru_cache(maxsize=4096)
def _cost(placement: Placement) -> Cost:
    return study_space()[1](placement)


def _settings(space: SearchSpace, trials: int, number: int) -> StudySettings:
    return StudySettings(
        study="claims",
        space=space,
        source=DataSource(),
        data_name="world",
        classes=("background", "object"),
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        fingerprint="none",
        budget=BUDGET,
        strategy="additive",
        cost="macs",
        seed=0,
        finalists=0.25,
        precision=Precision(),
        recipe=Recipe(),
        devices=("cpu",),
        workers=1,
        trials=trials,
        n_screening_seeds=4,
    )


def _record(number: int, outcome: Outcome, evaluation: Evaluation) -> TrialRecord:
    return TrialRecord(
        number=number,
        placement=evaluation.placement,
        budget=evaluation.budget,
        seed=evaluation.seed,
        role=evaluation.role,
        state=State.COMPLETE,
        reference=evaluation.reference,
        outcome=outcome,
        memory=evaluation.memory,
    )


def _play(number: int, asked: argparse.Namespace, name: str) -> Played:
    given = {"verify": asked.verify, "stop": asked.stop, "at_once": asked.at_once}
    return play(WORLDS[name], number, asked.trials, **given)


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", default="null", choices=[*WORLDS, "all"])
    parser.add_argument("--studies", type=int, default=25, help="of each world [25]")
    parser.add_argument("--trials", type=int, default=200, help="of each study [200]")
    parser.add_argument("--seed", type=int, default=0, help="number of the first study [0]")
    parser.add_argument("--verify", action="store_true", help="also verify the first placement of each study")
    parser.add_argument("--stop", action="store_true", help="let each study end once its question is settled")
    parser.add_argument("--at-once", type=int, default=1, help="trials for which each study is laid out [1]")
    parser.add_argument("--workers", type=int, default=2, help="processes [2]")
    parser.add_argument("--json", action="store_true", help="an object for each world")
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # of the processes that play
    for name in WORLDS if arguments.world == "all" else [arguments.world]:
        numbers = range(arguments.seed, arguments.seed + arguments.studies)
        played = partial(_play, asked=arguments, name=name)
        with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
            found = summary(WORLDS[name], list(pool.map(played, numbers)))
        print(json.dumps(found) if arguments.json else _text(found), flush=True)


def _text(found: dict[str, float | int | str]) -> str:
    """One line for a world."""

    def share(name: str) -> str:
        return f"{100 * float(found[name]):.0f} ±{100 * float(found[f'{name}_se']):.0f} %"

    def points(name: str) -> str:
        return f"{float(found[name]):+.2f} ±{float(found[f'{name}_se']):.2f}"

    verified = "".join(f"; {name} {value}" for name, value in found.items() if name.startswith("verify"))
    return (
        f"{found['world']:18} {found['studies']} studies: false claims {share('false_claim_rate')} "
        f"(in the answer {share('false_answer_rate')}), "
        f"leader covered {share('leader_coverage')}, bias {points('bias_points')}, power {share('power')} "
        f"of {share('power_bound')}, gain {points('leader_gain_points')} of {points('best_gain_points')}, "
        f"{found['trials']:.0f} trials, equivalent {share('equivalent_rate')} (falsely "
        f"{share('false_equivalent_rate')}), most possible {float(found['largest_points']):.2f} of "
        f"{float(found['attainable_points']):.2f} (covered {share('largest_coverage')}), worth "
        f"{float(found['worth_points']):.2f}, {float(found['seconds']):.1f} s{verified}"
    )


if __name__ == "__main__":
    main()
