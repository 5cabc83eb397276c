"""What a study costs besides its training: proposing, writing down, ranking, at growing numbers of trials.

The trials are looked up in a made-up task, so all time that passes is the program's own. The share is that of a
study whose trials take as long as ``--seconds`` says, with one worker.

    python benchmarks/long_study.py
    python benchmarks/long_study.py --strategy random --trials 100,1000,10000
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import optuna

from nas_attn.analysis import rank
from nas_attn.budget import Budget
from nas_attn.errors import NasAttnError
from nas_attn.models.catalogue import catalogue
from nas_attn.space import read_space
from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.strategy.settings import StudySettings
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training import Precision, Recipe
from nas_attn.training.evaluation import CostTable, DataSource, LookupEvaluator

T = TypeVar("T")


@dataclass(frozen=True)
class Point:
    """The cost of a study of so many trials.

    Args:
        trials: of the study.
        propose_ms: of one trial, on average.
        record_ms: of one trial, on average: what others have written, before it runs and when it ends.
        look_up_ms: of one trial, on average: what stands for the training.
        other_ms: of one trial, on average: the loop itself, and taking the trial before other processes do.
        open_s: opening the finished study and reading its trials.
        rank_s: ranking it.
        share: of a study whose trials take ``--seconds``, with one worker.
    """

    trials: int
    propose_ms: float
    record_ms: float
    look_up_ms: float
    other_ms: float
    open_s: float
    rank_s: float
    share: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    asked = _parser().parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    points = []
    try:
        for trials in asked.trials:
            points.append(_point(trials, asked))
            if not asked.json:
                print(_row(points[-1], first=len(points) == 1, seconds=asked.seconds), flush=True)
    except NasAttnError as error:
        print(error, file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps([asdict(point) for point in points], indent=1))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", default="tpe", help=" | ".join(STRATEGIES))
    parser.add_argument("--trials", type=_numbers, default=(100, 1000), help="such as 100,1000,10000")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a trial would take")
    parser.add_argument("--workers", type=int, default=1, help="trials under way at once")
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's time, on a busy machine")
    parser.add_argument("--json", action="store_true")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


class Stopwatch:
    """Adds up the time that passes inside of some calls.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds = 0.0
        self._clock = clock

    def around(self, call: Callable[..., T]) -> Callable[..., T]:
        """The same call, timed."""

        def timed(*given: Any, **named: Any) -> T:
            started = self._clock()
            try:
                return call(*given, **named)
            finally:
                self.seconds += self._clock() - started

        return timed


def _point(trials: int, asked: argparse.Namespace) -> Point:
    space = read_space("unet_attention", catalogue(), base_channels=8, image_size=32)
    settings = _settings(space, trials, asked)
    agenda = Agenda(settings, CostTable(space.network, 32, 32))
    evaluator = LookupEvaluator(space)
    clock = time.process_time if asked.cpu_time else time.perf_counter
    proposing, recording, looking = Stopwatch(clock), Stopwatch(clock), Stopwatch(clock)
    agenda.next = proposing.around(agenda.next)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'study.db'}"
        ledger = Ledger.create(url, "long", settings.identity(), settings.context(), settings.cost)
        for name in ("records", "begin", "complete", "fail"):
            setattr(ledger, name, recording.around(getattr(ledger, name)))
        started = clock()
        run_trials(settings, ledger, agenda, InlinePool(looking.around(evaluator), asked.workers), lambda _: None)
        whole = clock() - started
        started = clock()
        records = Ledger.open(url, "long").records()
        opened = clock()
        rank(records)
        ranked = clock()
    control = whole - looking.seconds + ranked - started
    return Point(
        trials=trials,
        propose_ms=1000 * proposing.seconds / trials,
        record_ms=1000 * recording.seconds / trials,
        look_up_ms=1000 * looking.seconds / trials,
        other_ms=1000 * (whole - proposing.seconds - recording.seconds - looking.seconds) / trials,
        open_s=opened - started,
        rank_s=ranked - opened,
        share=control / (control + trials * asked.seconds),
    )


def _settings(space: Any, trials: int, asked: argparse.Namespace) -> StudySettings:
    return StudySettings(
        study="long",
        space=space,
        source=DataSource(),
        data_name="lookup",
        classes=("background", "object"),
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        fingerprint="lookup",
        budget=Budget(600, 32, 8),
        strategy=asked.strategy,
        cost="macs",
        seed=0,
        finalists=0.25,
        precision=Precision(),
        recipe=Recipe(),
        devices=("cpu",),
        workers=asked.workers,
        trials=trials,
    )


def _row(point: Point, *, first: bool, seconds: float) -> str:
    row = (
        f"{point.trials:>7} {point.propose_ms:>9.1f} {point.record_ms:>9.1f} {point.other_ms:>9.2f}"
        f" {point.open_s:>8.2f} {point.rank_s:>8.2f} {point.share:>8.1%}"
    )
    if not first:
        return row
    head = f"{'trials':>7} {'propose':>9} {'record':>9} {'loop':>9} {'open':>8} {'rank':>8} {'share':>8}"
    unit = f"{'':>7} {'ms/trial':>9} {'ms/trial':>9} {'ms/trial':>9} {'s':>8} {'s':>8} {f'of {seconds:g} s':>8}"
    return "\n".join([head, unit, row])


if __name__ == "__main__":
    sys.exit(main())
