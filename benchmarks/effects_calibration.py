"""Do the effects that a study tells hold?  python benchmarks/effects_calibration.py --world sparse --studies 15

Each study is played by the product's own schedule against a world whose truth is known (``claims.py``); what
``nas-attn effects`` says of it is held against the true effects.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import fmean

import numpy as np
from claims import searched
from numpy.typing import NDArray
from worlds import WORLDS

from nas_attn.analysis.effects import study_effects
from nas_attn.models.placement import NONE, Placement

_WORLDS = ("sparse", "dense", "dense-luck", "null", "leaf")
_LARGEST = 6

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Told:
    """What one study says of m effects, and what is true. All in IoU points.

    Args:
        truth: of each, (m,).
        mean: what is told, (m,).
        low: of its interval, (m,).
        high: of its interval, (m,).
        seconds: that this took.
    """

    truth: Array
    mean: Array
    low: Array
    high: Array
    seconds: float

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Which intervals hold the truth, (m,)."""
        return (self.low <= self.truth) & (self.truth <= self.high)

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Which intervals exclude 0, (m,)."""
        return (self.low > 0) | (self.high < 0)

    @property
    def largest(self) -> NDArray[np.int64]:
        """The numbers of the effects that in truth are the largest."""
        return np.argsort(-np.abs(self.truth), kind="stable")[:_LARGEST]


def tell(task: tuple[str, int, int]) -> Told:
    """One study.

    Args:
        task: name of the world, number of the study and number of its trials.
    """
    name, number, trials = task
    truth, records = searched(WORLDS[name], number, trials)
    plain = {location: NONE for location, _ in records[0].placement}
    start = time.process_time()
    effects = study_effects(records).effects
    seconds = time.process_time() - start
    alone = [Placement(tuple({**plain, one.location: one.attention}.items())) for one in effects]
    intervals = [(one.interval.low, one.interval.high) for one in effects]
    low, high = 100 * np.array(intervals).T
    return Told(
        truth=100 * np.array([truth.gain(placement) for placement in alone]),
        mean=100 * np.array([one.mean for one in effects]),
        low=low,
        high=high,
        seconds=seconds,
    )


def summary(name: str, told: Sequence[Told]) -> dict[str, float | int | str]:
    """What the studies of one world say together: shares of effects, and IoU points."""
    nothing = [one.sure[one.truth == 0] for one in told]
    away = [np.abs(one.mean - one.truth) for one in told]
    largest = np.concatenate([np.stack([one.truth, one.mean], axis=1)[one.largest] for one in told])
    return {
        "world": name,
        "studies": len(told),
        "coverage": _share([one.covered for one in told]),
        "coverage_largest": _share([one.covered[one.largest] for one in told]),
        "coverage_not_zero": _share([one.covered[one.truth != 0] for one in told]),
        "false_sure": _share(nothing),
        "sure": fmean(float(one.sure.sum()) for one in told),
        "error": fmean(float(of.mean()) for of in away),
        "error_largest": fmean(float(of[one.largest].mean()) for of, one in zip(away, told, strict=True)),
        "width": fmean(float((one.high - one.low).mean()) for one in told),
        "told_of_true": float(largest[:, 0] @ largest[:, 1] / max(float(largest[:, 0] @ largest[:, 0]), 1e-12)),
        "seconds": fmean(one.seconds for one in told),
        **_by_truth(told),
    }


def _share(which: Sequence[NDArray[np.bool_]]) -> float:
    together = np.concatenate(which)
    return float(together.mean()) if together.size else math.nan


def _by_truth(told: Sequence[Told]) -> dict[str, float]:
    """What is told on average of effects that are the same in several studies."""
    truths = np.concatenate([one.truth for one in told]).round(6)
    means = np.concatenate([one.mean for one in told])
    values, counts = np.unique(truths[truths != 0], return_counts=True)
    shared = values[counts > max(1, len(told) / 2)]
    return {f"told of {value:+.1f}": float(means[truths == value].mean()) for value in shared}


def _text(found: dict[str, float | int | str]) -> str:
    """One line for a world."""

    def share(name: str) -> str:
        return f"{100 * float(found[name]):.1f} %"

    told = "".join(f", {name} {float(value):+.2f}" for name, value in found.items() if name.startswith("told of"))
    return (
        f"{found['world']:10} {found['studies']} studies: covered {share('coverage')}, "
        f"of the largest {share('coverage_largest')}, of those not 0 {share('coverage_not_zero')}; "
        f"error {float(found['error']):.3f}, of the largest {float(found['error_largest']):.3f}; "
        f"sure {float(found['sure']):.1f}, falsely {share('false_sure')}; width {float(found['width']):.2f}; "
        f"told of true {float(found['told_of_true']):.2f}{told}; {float(found['seconds']):.1f} s"
    )


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--world", default="all", choices=[*WORLDS, "all"], help=f"all: {', '.join(_WORLDS)} [all]"
    )
    parser.add_argument("--studies", type=int, default=15, help="of each world [15]")
    parser.add_argument("--trials", type=int, default=200, help="of each study [200]")
    parser.add_argument("--seed", type=int, default=0, help="number of the first study [0]")
    parser.add_argument("--workers", type=int, default=2, help="processes [2]")
    parser.add_argument("--json", action="store_true", help="an object for each world")
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # of the processes that play
    for name in _WORLDS if arguments.world == "all" else [arguments.world]:
        tasks = [(name, n, arguments.trials) for n in range(arguments.seed, arguments.seed + arguments.studies)]
        with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
            found = summary(name, list(pool.map(tell, tasks)))
        print(json.dumps(found) if arguments.json else _text(found), flush=True)


if __name__ == "__main__":
    main()
