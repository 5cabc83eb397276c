"""Does a search find as often as it says what it can see?  python benchmarks/detection.py --studies 20

Each study is played by the product's own schedule, ranking and verdict on the placements of a table of real runs.
What a placement gains is planted: all that hold one attention at one location gain the same, the others nothing.
What a run scatters by is drawn from the table: the residuals of its full runs without levels and seeds.

Predicted is what the plan says (``nas_attn.analysis.detection``): how often a finalist with that gain is told from
none. Found is how often finalists with the gain were, and in how many studies the verdict was *better*. ``--json``
prints an object for each row.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from claims import _mean, _record, _settings
from games import read_table, sized_space

from nas_attn.analysis import Versus, rank
from nas_attn.analysis.detection import FinalsSize, Sight
from nas_attn.analysis.noise import pooled_noise
from nas_attn.analysis.verdict import Decision, verdict_of
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.record import Cost, Outcome, Score, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.training.evaluation import CostTable

_FOLDER = Path(__file__).parent
TABLES = ("tabulated", "tabulated_leaf", "tabulated_clips")
_CONFIDENCE = 0.95
_SHARE = 0.25
_BASE, _SEED_SD = 0.8, 0.008

Kinds = tuple[str, ...]
"""Of the attention at each location, in their order."""


@dataclass(frozen=True, eq=False)
class Noise:
    """What the full runs of a table scatter by.

    Args:
        space: of the table.
        residuals: of score = level of the placement + effect of the seed, as large as independent noise is.
        pair: standard deviation of a paired difference, in units of IoU.
        gains: of every placement over the baseline, by its level, likewise; by the kinds at its locations, since a
            reference architecture may have one with other options than the table's.
    """

    space: SearchSpace
    residuals: np.ndarray
    pair: float
    gains: Mapping[Kinds, float]

    @classmethod
    def of(cls, name: str) -> Noise:
        """Of a table."""
        space = sized_space(str(_FOLDER / "spaces" / f"{name}.yaml"))
        table = read_table(_FOLDER / "tables" / f"{name}.csv", space)
        scores = np.array(
            [[table.ious[row, table.steps[-1], 0, seed] for seed in table.seeds] for row in range(space.size)]
        )
        rest = scores - scores.mean(1, keepdims=True) - scores.mean(0, keepdims=True) + scores.mean()
        n_rows, n_seeds = scores.shape
        residuals = (rest * (n_rows * n_seeds / ((n_rows - 1) * (n_seeds - 1))) ** 0.5).ravel()
        known = pooled_noise([dict(enumerate(map(float, row))) for row in scores]).pair
        if known is None:
            raise ValueError(f"{name}: too few seeds")
        levels = dict(zip(space.placements(), map(float, scores.mean(1)), strict=True))
        gains = {kinds_of(placement): level - levels[space.plain] for placement, level in levels.items()}
        return cls(space, residuals, known.sd, gains)


@dataclass(frozen=True, eq=False)
class Planted:
    """A study's truth.

    Args:
        noise: of its runs.
        number: of the study.
        gain: of every placement that holds the planted attention, in units of IoU.
    """

    noise: Noise
    number: int
    gain: float

    def gain_of(self, placement: Placement) -> float:
        """Over the baseline."""
        return self.gain * (self._choice in placement.attended)

    def outcome(self, one: Evaluation, cost: Cost) -> Outcome:
        """A run's; residuals are drawn anew for each placement, seed and budget."""
        seed = _SEED_SD * self._generator("seed", one.seed).standard_normal()
        run = self._generator("run", one.seed, one.placement.id, one.budget.steps).choice(self.noise.residuals)
        iou = _BASE + float(seed + run) + self.gain_of(one.placement)
        return Outcome(Score(iou, (iou,) * 2, 0.5), cost, (), 1.0)

    @cached_property
    def _choice(self) -> tuple[Location, AttentionSpec]:
        choices = [(place, spec) for place, specs in self.noise.space.choices for spec in specs if spec != NONE]
        return choices[int(self._generator("choice").integers(len(choices)))]

    def _generator(self, *what: str | int) -> np.random.Generator:
        digest = hashlib.sha256("|".join(map(str, (self.number, *what))).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))


@dataclass(frozen=True, eq=False)
class AsMeasured(Planted):
    """A study in which nothing is planted: placements gain what the table says, averaged over its seeds."""

    gain: float = 0.0

    def gain_of(self, placement: Placement) -> float:
        """Over the baseline."""
        return self.noise.gains[kinds_of(placement)]


@dataclass(frozen=True)
class Played:
    """What one study said.

    Args:
        better: its verdict was *better*, and of a placement with the gain.
        found: of its finalists with the gain, the share that was told from the baseline; None without any.
        told: gain that the search said after its first runs that it can tell, in units of IoU.
    """

    better: bool
    found: float | None
    told: float | None


def play(name: str, times: float, number: int, trials: int) -> Played:
    """One study.

    Args:
        name: of the table.
        times: the planted gain, over what so many trials can tell.
        number: of the study.
        trials: of the study.
    """
    noise = noise_of(name)
    shown = FinalsSize.of(trials, _SHARE).gain_shown(noise.pair, _CONFIDENCE)
    truth = Planted(noise, number, times * shown)
    agenda, records = searched(truth, trials, stop=False)
    ranking = rank(records)
    verdict = verdict_of(records, ranking=ranking)
    rows = [row for row in ranking.rows if row.tested and row.fresh and truth.gain_of(row.placement) > 0]
    course = agenda.course(records)
    known = rank(records[: len(course.for_noise)]).noise.pair if course else None
    return Played(
        better=verdict.answer is Decision.BETTER and any(row is verdict.row for row in rows),
        found=fmean(row.better_than_baseline is Versus.BETTER for row in rows) if rows else None,
        told=None if known is None else Sight(known.sd, trials, _SHARE, _CONFIDENCE).gain,
    )


def searched(truth: Planted, trials: int, *, stop: bool) -> tuple[Agenda, list[TrialRecord]]:
    """The agenda and the trials of one study.

    Args:
        truth: of the study.
        trials: at most.
        stop: whether the study may end before, where its question is settled.
    """
    space = truth.noise.space
    costs = CostTable(space.network, space.height, space.width)
    agenda = Agenda(replace(_settings(space, trials, truth.number), stop=stop), costs)
    records: list[TrialRecord] = []
    while (one := agenda.next(records, ())) is not None:
        records.append(_record(len(records), truth.outcome(one, costs(one.placement)), one))
    return agenda, records


def summary(name: str, times: float, trials: int, played: Sequence[Played]) -> dict[str, float | int | str | None]:
    """Predicted against found, with standard errors over studies."""
    noise, finals = noise_of(name), FinalsSize.of(trials, _SHARE)
    shown = finals.gain_shown(noise.pair, _CONFIDENCE)
    found = [one.found for one in played if one.found is not None]
    told = [100 * one.told for one in played if one.told is not None]
    better, better_se = _mean([float(one.better) for one in played], is_rate=True)
    return {
        "table": name,
        "trials": trials,
        "studies": len(played),
        "paired_noise_points": 100 * noise.pair,
        "gain_points": 100 * times * shown,
        "predicted": finals.detection_rate(times * shown, noise.pair, _CONFIDENCE),
        "found": fmean(found) if found else None,
        "found_se": stdev(found) / len(found) ** 0.5 if len(found) > 1 else None,
        "better": better,
        "better_se": better_se,
        "shown_points": 100 * shown,
        "told_points": fmean(told) if told else None,
        "told_sd": stdev(told) if len(told) > 1 else None,
    }


def kinds_of(placement: Placement) -> Kinds:
    """What stands where, whatever its options."""
    return tuple(spec.kind for _, spec in placement)


@lru_cache(maxsize=3)
def noise_of(name: str) -> Noise:
    """Of a table, read once.

    Args:
        name: of ``TABLES``.
    """
    return Noise.of(name)


def _play(task: tuple[str, float, int, int]) -> Played:
    return play(*task)


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=[*TABLES, "all"], default="all")
    parser.add_argument(
        "--times", type=float, nargs="+", default=[0.5, 1.0, 1.5], help="planted gain over shown one"
    )
    parser.add_argument("--trials", type=int, nargs="+", default=[200], help="of each study [200]")
    parser.add_argument("--studies", type=int, default=20, help="of each row [20]")
    parser.add_argument("--workers", type=int, default=2, help="processes [2]")
    parser.add_argument("--json", action="store_true", help="an object for each row")
    asked = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # of the processes that play
    names = TABLES if asked.table == "all" else (asked.table,)
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
        for name, trials, times in product(names, asked.trials, asked.times):
            tasks = [(name, times, number, trials) for number in range(asked.studies)]
            row = summary(name, times, trials, list(pool.map(_play, tasks)))
            print(json.dumps(row) if asked.json else _text(row), flush=True)


def _text(row: dict[str, float | int | str | None]) -> str:
    def share(name: str) -> str:
        value, error = row[name], row[f"{name}_se"]
        return "-" if value is None else f"{100 * float(value):.0f} ±{100 * float(error or 0):.0f} %"

    return (
        f"| {row['table']} | {row['trials']} | {row['studies']} | {float(row['paired_noise_points'] or 0):.2f} "
        f"| {float(row['gain_points'] or 0):.2f} | {100 * float(row['predicted'] or 0):.0f} % | {share('found')} "
        f"| {share('better')} | {float(row['shown_points'] or 0):.2f} "
        f"| {float(row['told_points'] or 0):.2f} (sd {float(row['told_sd'] or 0):.2f}) |"
    )


if __name__ == "__main__":
    main()
