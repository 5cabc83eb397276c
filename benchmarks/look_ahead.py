"""Would finals that look ahead decide sooner than finals in which all have the same seeds?

In the product's finals a seed is run by the baseline and by every finalist before the next seed is. Here the field
is the same, and so is the seed that all begin with; then the finalist comes next whose further seeds are the most
likely, for each run that they take, to settle that it gains enough to matter: the knowledge gradient of several
equal measurements, KG(*), with the verdict in place of the best mean (Frazier and Powell 2010,
doi:10.1287/deca.1100.0190). Seeds stay common: one that the baseline lacks is run by it first.

Both play the same studies until they stop by themselves: of worlds whose truth is known (``worlds.py``), and of
the tables of real runs, where the truth of a placement is its mean and a run adds a residual of the table.

    python benchmarks/look_ahead.py --world sparse --studies 16
    python benchmarks/look_ahead.py --world tabulated_clips
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import sqrt
from multiprocessing import get_context
from statistics import NormalDist, fmean
from typing import Any
from unittest.mock import patch

import claims
from claims import _mean
from detection import TABLES, AsMeasured, noise_of, searched
from worlds import WORLDS

from nas_attn.analysis import Evidence, rank
from nas_attn.analysis.detection import default_worth
from nas_attn.analysis.quantiles import simultaneous_quantile
from nas_attn.analysis.settled import LEAST_TO_STOP
from nas_attn.analysis.verdict import Decision, verdict_of
from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule import agenda
from nas_attn.strategy.schedule.finals import Finals, _Standing

_CONFIDENCE = 0.95
_FURTHEST = 12
"""Seeds of a finalist that are looked ahead at most."""
_LEAST_CHANCE = 0.002
"""For each run; where no finalist has more, all go on with the same seeds."""
_PLAYED = ("sparse", "sparse-loud", "dense", "risky", "leaf", "null-loud", *TABLES)


class LookingAhead(Finals):
    """Finals in which what is the most likely to settle the question comes next."""

    def next(
        self,
        records: Sequence[TrialRecord],
        pending: Sequence[TrialRecord],
        *,
        plain: Placement,
        ladder: tuple[Budget, ...],
        worth: float | None = None,
        **others: Any,
    ) -> Evaluation:
        """The next run, as that of ``Finals`` as long as the field and its first seed are not complete."""
        in_turn = super().next(records, pending, plain=plain, ladder=ladder, worth=worth, **others)
        runs = [record for record in (*records, *pending) if self.holds(record)]
        standing = _Standing.of(records, runs, plain, ladder[-1])
        if not standing.seeds or not standing.members or in_turn.seed == standing.seeds[0]:
            return in_turn
        evidence = Evidence.of([record for record in records if record.budget == ladder[-1]])
        chances = {member: _chance(member, standing, evidence, worth) for member in standing.members}
        likeliest = max(chances, key=lambda member: chances[member])
        if chances[likeliest] < _LEAST_CHANCE:
            return in_turn
        seed = next((seed for seed in standing.seeds if (likeliest, seed) not in standing.begun), None)
        if seed is not None:
            return self._evaluation(likeliest, ladder[-1], seed)
        following = 1 + max(record.seed for record in (*records, *pending))
        return self._evaluation(plain, ladder[-1], following)


def _chance(member: Placement, standing: _Standing, evidence: Evidence, worth: float | None) -> float:
    """That further seeds settle that a finalist gains enough to matter, for each run that they take; at best."""
    row, pair = evidence.row_of(member), evidence.noise.pair
    if row is None or pair is None:
        return 0.0
    worth = default_worth(evidence.noise, _CONFIDENCE) if worth is None else worth
    number = max(len(standing.members), len(evidence.tested))
    quantile = simultaneous_quantile(_CONFIDENCE, pair.degrees_of_freedom, number, 0.5)
    finalist = _Finalist.of(row, evidence)
    n_free = sum((member, seed) not in standing.begun for seed in standing.seeds)
    return max(
        finalist.chance(further, worth, quantile, pair.sd) / (further + max(0, further - n_free))
        for further in range(1, _FURTHEST + 1)
    )


@dataclass(frozen=True)
class _Finalist:
    """What is known of a finalist's gain, in units of IoU.

    Args:
        n_fresh: seeds by which it is measured.
        measured: by these; 0 without any.
        mean: to expect, by all runs of all placements.
        variance: of this.
    """

    n_fresh: int
    measured: float
    mean: float
    variance: float

    @classmethod
    def of(cls, row: int, evidence: Evidence) -> _Finalist:
        """By its fresh runs, and by all."""
        estimate, fresh = evidence.to_baseline(row), evidence.reported[row].keys()
        is_fresh = estimate is not None and fresh <= evidence.selected.runs[row].final
        mean, variance = evidence.gains.mean[row], evidence.gains.covariance([row])[0, 0]
        if estimate is None or not is_fresh:
            return cls(0, 0.0, float(mean), float(variance))
        return cls(estimate.n_seeds, estimate.value, float(mean), float(variance))

    def chance(self, further: int, worth: float, quantile: float, noise: float) -> float:
        """That the lower end of its interval lies beyond what matters after some further seeds."""
        number = self.n_fresh + further
        if number < LEAST_TO_STOP:
            return 0.0
        low = (self.n_fresh * self.measured + further * self.mean) / number - quantile * noise / sqrt(number)
        scatter = sqrt(further**2 * self.variance + further * noise**2) / number
        return NormalDist().cdf((low - worth) / scatter)


@dataclass(frozen=True)
class Ended:
    """How a study ended. Gains in IoU points.

    Args:
        trials: that it took.
        leader_gain: true gain of the first of the ranking.
        answer: better, equivalent or undecided.
        answered: true gain of what the answer says is better; None where it does not say so.
    """

    trials: int
    leader_gain: float
    answer: str
    answered: float | None


@dataclass(frozen=True)
class Pair:
    """The same study, played by both."""

    in_turn: Ended
    ahead: Ended


def play_both(number: int, *, world: str, trials: int) -> Pair:
    """One study of a world or of a table.

    Args:
        number: of the study.
        world: its name.
        trials: at most.
    """
    play = _play_table if world in TABLES else _play_world
    in_turn = play(world, number, trials)
    with patch.object(agenda, "Finals", LookingAhead):
        return Pair(in_turn, play(world, number, trials))


def _play_world(name: str, number: int, trials: int) -> Ended:
    played = claims.play(WORLDS[name], number, trials, stop=True)
    return Ended(played.trials, played.leader_gain, played.answer, played.answered)


def _play_table(name: str, number: int, trials: int) -> Ended:
    truth = AsMeasured(noise_of(name), number)
    _, records = searched(truth, trials, stop=True)
    ranking = rank(records)
    verdict = verdict_of(records, ranking=ranking, trials=trials)
    named = verdict.row if verdict.answer is Decision.BETTER else None
    return Ended(
        len(records),
        100 * truth.gain_of(ranking.rows[0].placement),
        str(verdict.answer),
        100 * truth.gain_of(named.placement) if named else None,
    )


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=[*_PLAYED, "all"], default="all")
    parser.add_argument("--studies", type=int, default=16, help="of each world (%(default)s)")
    parser.add_argument("--trials", type=int, default=200, help="of each study at most (%(default)s)")
    parser.add_argument("--seed", type=int, default=1000, help="number of the first study (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    asked = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # of the processes that play
    print("| world | trials in turn | looking ahead | saved | gain in turn | looking ahead | better | false |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for world in _PLAYED if asked.world == "all" else (asked.world,):
        numbers = range(asked.seed, asked.seed + asked.studies)
        with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
            pairs = list(pool.map(partial(play_both, world=world, trials=asked.trials), numbers))
        print(f"| {world} | {_row(pairs)} |", flush=True)


def _row(pairs: Sequence[Pair]) -> str:
    saved = [one.in_turn.trials - one.ahead.trials for one in pairs]
    gained = [one.ahead.leader_gain - one.in_turn.leader_gain for one in pairs]
    columns = [
        f"{fmean(one.in_turn.trials for one in pairs):.0f}",
        f"{fmean(one.ahead.trials for one in pairs):.0f}",
        _told(saved, ".1f"),
        f"{fmean(one.in_turn.leader_gain for one in pairs):.2f}",
        f"{fmean(one.ahead.leader_gain for one in pairs):.2f} ({_told(gained, '+.2f')})",
        ", ".join(str(_n_better(part)) for part in _parts(pairs)),
        ", ".join(str(_n_false(part)) for part in _parts(pairs)),
    ]
    return " | ".join(columns)


def _parts(pairs: Sequence[Pair]) -> tuple[list[Ended], list[Ended]]:
    return [one.in_turn for one in pairs], [one.ahead for one in pairs]


def _n_better(studies: Sequence[Ended]) -> int:
    return sum(one.answer == Decision.BETTER for one in studies)


def _n_false(studies: Sequence[Ended]) -> int:
    return sum(one.answered is not None and one.answered <= 0 for one in studies)


def _told(values: Sequence[float], form: str) -> str:
    mean, error = _mean(values, is_rate=False)
    return f"{mean:{form}} ±{error:{form.lstrip('+')}}"


if __name__ == "__main__":
    main()
