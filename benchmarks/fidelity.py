"""Which short run tells what the converged run would say: rank correlation between budgets.

Random placements are trained for a top budget and for shares of it, from scratch and from the plain U-Net trained
for the top budget, with either start of the attention, with and without an average of the weights; every run with
the same seeds. A short run is worth its time where it orders the placements as the long ones do.

    python benchmarks/fidelity.py measure --data FOLDER --data FOLDER --table benchmarks/tables/fidelity.csv
    python benchmarks/fidelity.py report --table benchmarks/tables/fidelity.csv

``measure`` goes on where it was stopped: the table holds every run that has ended.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import multiprocessing
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from fidelity_runs import Task
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from nas_attn.errors import NasAttnError

SHARES = (1, 3, 9)
"""The budgets are the top budget divided by these."""
RESAMPLES = 2000
PLAIN = "plain"


@dataclass(frozen=True)
class Run:
    """One line of the table.

    Args:
        data: name of the data set.
        seed: of the run.
        placement: its attentions as text, as if each had the paper's start; ``plain`` for none.
        start: ``paper`` or ``identity``.
        warm: 1 where it began from the trained plain U-Net, 0 where from scratch.
        steps: of the run, the plain U-Net's not counted.
        iou: on the validation images.
        averaged_iou: of the averaged weights.
        cpu_seconds: of the training.
    """

    data: str
    seed: int
    placement: str
    start: str
    warm: int
    steps: int
    iou: float
    averaged_iou: float
    cpu_seconds: float

    @property
    def key(self) -> tuple[str, int, str, str, int, int]:
        """What identifies it."""
        return self.data, self.seed, self.placement, self.start, self.warm, self.steps


@dataclass(frozen=True)
class Arm:
    """A way to run short, and how well it orders placements as the top budget does.

    Args:
        data: name of the data set.
        start: ``paper`` or ``identity``.
        truth: start of the top runs that it is held against.
        warm: from the trained plain U-Net.
        averaged: judged by the averaged weights.
        steps: of the run.
        correlation: Spearman's, of mean IoUs over seeds that the two do not share; mean over the splits.
        low: lower end of its interval, by bootstrap over placements.
        high: upper end.
        placements: how many were seen in both.
        seeds: how many paired seeds.
        compute: CPU time of a run, relative to one of the top budget.
    """

    data: str
    start: str
    truth: str
    warm: bool
    averaged: bool
    steps: int
    correlation: float
    low: float
    high: float
    placements: int
    seeds: int
    compute: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure or report."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.verb == "measure":
            _measure(asked)
        else:
            arms = report(_read_table(asked.table))
            print(json.dumps([asdict(arm) for arm in arms], indent=1) if asked.json else _table_text(arms))
    except NasAttnError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    measure = verbs.add_parser("measure")
    measure.add_argument("--data", action="append", required=True, help="a folder of images and masks")
    measure.add_argument("--space", default="unet_attention")
    measure.add_argument("--placements", type=int, default=40, help="besides the baseline")
    measure.add_argument("--seeds", type=int, default=3)
    measure.add_argument("--starts", type=lambda text: text.split(","), default=["paper", "identity"])
    measure.add_argument("--steps", type=int, default=450, help="of the top budget")
    measure.add_argument("--base-channels", type=int, default=8)
    measure.add_argument("--image-size", type=int, default=32, help="side of the crops, in pixels")
    measure.add_argument("--batch-size", type=int, default=8)
    measure.add_argument("--longest-side", type=int, default=64, help="larger images are shrunk to it")
    measure.add_argument("--warm-rate", type=float, default=0.25, help="peak learning rate from trained weights")
    measure.add_argument("--workers", type=int, default=2)
    measure.add_argument("--device", default="cpu")
    for verb in (measure, verbs.add_parser("report")):
        verb.add_argument("--table", type=Path, required=True)
        verb.add_argument("--json", action="store_true")
    return parser


def _measure(asked: argparse.Namespace) -> None:
    """Placement by placement, so that a table that was stopped holds all seeds of what it holds."""
    done = frozenset(run.key for run in _read_table(asked.table))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.workers, mp_context=context) as workers:
        jobs = [
            workers.submit(_missing_runs, asked, folder, seed, start, number, done)
            for number in range(asked.placements + 1)
            for folder in asked.data
            for start in asked.starts
            for seed in range(asked.seeds)
        ]
        for number, job in enumerate(as_completed(jobs), start=1):
            _append(asked.table, job.result())
            print(f"{number} of {len(jobs)} placements", file=sys.stderr, flush=True)


def _missing_runs(
    asked: argparse.Namespace, folder: str, seed: int, start: str, number: int, done: frozenset[object]
) -> list[Run]:
    """All budgets of one placement that the table lacks."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    task, name = _task(folder, asked), Path(folder).name
    placement = task.placement(number, start)
    shown = " ".join(f"{place}={spec}" for place, spec in task.placement(number, "paper").attended) or PLAIN
    found = []
    for warm in (0, 1):
        for steps in (asked.steps // share for share in SHARES[warm:]):
            key = (name, seed, shown, start, warm, steps)
            if key not in done:
                weights = _plain_weights(folder, asked, seed) if warm else None
                _, trained = task.train(placement, steps, seed, weights, asked.warm_rate if warm else 1.0)
                found.append(Run(*key, trained.iou, trained.averaged_iou, trained.cpu_seconds))
    return found


_TASKS: dict[str, Task] = {}
_PLAIN: dict[tuple[str, int], Mapping[str, Tensor]] = {}


def _task(folder: str, asked: argparse.Namespace) -> Task:
    """One per folder and process: it keeps the images."""
    if folder not in _TASKS:
        sizes = (asked.base_channels, asked.image_size, asked.batch_size, asked.longest_side)
        _TASKS[folder] = Task(folder, asked.space, *sizes, asked.device)
    return _TASKS[folder]


def _plain_weights(folder: str, asked: argparse.Namespace, seed: int) -> Mapping[str, Tensor]:
    """Of the plain U-Net after the top budget."""
    if (folder, seed) not in _PLAIN:
        task = _task(folder, asked)
        module, _ = task.train(task.placement(0, "paper"), asked.steps, seed, None, 1.0)
        _PLAIN[folder, seed] = module.state_dict()
    return _PLAIN[folder, seed]


def _read_table(path: Path) -> list[Run]:
    if not path.exists():
        return []
    types = {"seed": int, "warm": int, "steps": int, "iou": float, "averaged_iou": float, "cpu_seconds": float}
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Run(**{name: types.get(name, str)(value) for name, value in line.items()})
            for line in csv.DictReader(file)
        ]


def _append(path: Path, runs: Sequence[Run]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(field.name for field in fields(Run))
        for run in runs:
            numbers = (f"{run.iou:.5f}", f"{run.averaged_iou:.5f}", f"{run.cpu_seconds:.2f}")
            writer.writerow((*run.key, *numbers))


def report(runs: Sequence[Run]) -> list[Arm]:
    """Every arm of every data set and start, the top budget itself among them: it shows what can be had.

    Held against the top runs of either start: who puts modules into a trained network with the start that leaves
    it as it was may still want to know how they fare with the paper's.
    """
    arms: list[Arm] = []
    for data in sorted({run.data for run in runs}):
        held = [run for run in runs if run.data == data]
        starts = sorted({run.start for run in held}, reverse=True)
        for start, truth in itertools.product(starts, starts):
            arms += _arms([run for run in held if run.start == start], [run for run in held if run.start == truth])
    return arms


def _arms(held: Sequence[Run], judges: Sequence[Run]) -> Iterator[Arm]:
    """Those of one data set and start, held against the longest of some runs."""
    longest = [run for run in judges if not run.warm and run.steps == max(run.steps for run in judges)]
    top, cost = _scores(longest, averaged=False), fmean(run.cpu_seconds for run in longest)
    for warm, steps in sorted({(run.warm, run.steps) for run in held}, key=lambda arm: (arm[0], -arm[1])):
        short = [run for run in held if (run.warm, run.steps) == (warm, steps)]
        compute = fmean(run.cpu_seconds for run in short) / cost
        names = (held[0].data, held[0].start, judges[0].start)
        for averaged in (False, True):
            low, middle, high, n, seeds = _correlation(_scores(short, averaged=averaged), top)
            yield Arm(*names, bool(warm), averaged, steps, middle, low, high, n, seeds, compute)


Scores = dict[str, dict[int, float]]
"""IoU by placement and seed."""


def _scores(runs: Sequence[Run], *, averaged: bool) -> Scores:
    """Without the plain U-Net: what is asked is the order of those that attend."""
    scores: Scores = defaultdict(dict)
    for run in runs:
        if run.placement != PLAIN:
            scores[run.placement][run.seed] = run.averaged_iou if averaged else run.iou
    return scores


def _correlation(short: Scores, top: Scores) -> tuple[float, float, float, int, int]:
    """Low end, correlation, high end, placements, seeds.

    Single short runs of one seed are compared with the mean of the top runs of the other seeds, so that luck which
    a seed brings to both is not taken for agreement; with one seed only, with the top run of the same seed.
    Placements that lack a seed are left out.
    """
    seeds = sorted({seed for scores in (short, top) for found in scores.values() for seed in found})
    names = sorted(
        name for name in short.keys() & top.keys() if set(seeds) <= short[name].keys() & top[name].keys()
    )
    one = np.array([[short[name][seed] for seed in seeds] for name in names])
    two = np.array([[top[name][seed] for seed in seeds] for name in names])
    if len(seeds) > 1:
        two = (two.sum(1, keepdims=True) - two) / (len(seeds) - 1)
    generator = np.random.default_rng(0)
    picks = generator.integers(0, len(names), (RESAMPLES, len(names)))
    drawn = np.array([_mean_spearman(one[pick], two[pick]) for pick in picks])
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), _mean_spearman(one, two), float(high), len(names), len(seeds)


def _mean_spearman(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    """Over the columns, (n, seeds)."""
    ranks = [rankdata(table, axis=0) for table in (one, two)]
    a, b = (table - table.mean(0) for table in ranks)
    size = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return float(np.mean(np.divide((a * b).sum(0), size, out=np.zeros_like(size), where=size > 0)))


def _table_text(arms: Sequence[Arm]) -> str:
    heads = f"{'data':<18} {'start':<9} {'truth':<9} {'from':<8} {'weights':<9}"
    lines = [f"{heads} {'steps':>5} {'rho':>6}  {'95 %':<15} compute"]
    for arm in arms:
        begun, weights = "plain" if arm.warm else "scratch", "averaged" if arm.averaged else "last"
        interval = f"{arm.low:+.2f} to {arm.high:+.2f}"
        lines.append(
            f"{arm.data:<18} {arm.start:<9} {arm.truth:<9} {begun:<8} {weights:<9} {arm.steps:>5} "
            f"{arm.correlation:>+6.2f}  {interval:<15} {arm.compute:>5.2f}  "
            f"({arm.placements} placements, {arm.seeds} seeds)"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
