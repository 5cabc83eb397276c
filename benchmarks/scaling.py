"""Trials per hour by number of workers on one machine, over the same placements.

python benchmarks/scaling.py
python benchmarks/scaling.py --device cuda --workers 1,2,4,8 --image-size 64 --steps 1500
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from nas_attn.config.settings import StudyRequest
from nas_attn.errors import NasAttnError
from nas_attn.record import Failure, Role
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.study.setup.resolve import Resolved, resolve
from nas_attn.study.workers.process_pool import ProcessPool
from nas_attn.training.evaluation import write_sets
from nas_attn.training.metrics import device_name


@dataclass(frozen=True)
class Point:
    """What so many workers do.

    Args:
        workers: processes on one machine.
        trials_per_hour: all of them together, each at work all the time.
        failures: why trials failed, such as a lack of memory.
    """

    workers: int
    trials_per_hour: float
    failures: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    asked = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            points = [_point(asked, workers, Path(folder)) for workers in asked.workers]
    except NasAttnError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps([asdict(point) for point in points], indent=1) if asked.json else _table(points, asked))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=_numbers, default=(1, 2, 4), help="such as 1,2,4")
    parser.add_argument("--space", default="unet_attention")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--base-channels", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--trials", type=int, default=4, help="of each worker")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _point(asked: argparse.Namespace, workers: int, folder: Path) -> Point:
    resolved = resolve(
        StudyRequest(
            space=asked.space,
            image_size=asked.image_size,
            base_channels=asked.base_channels,
            batch_size=asked.batch_size,
            steps=asked.steps,
            device=asked.device,
            workers=workers,
        )
    )
    packed = write_sets(resolved.dataset, folder / "packed")
    with ProcessPool(resolved.evaluators(packed)) as pool:
        _trials(resolved, pool, workers)  # every worker starts, reads its data and chooses its kernels
        started = time.perf_counter()
        failures = _trials(resolved, pool, asked.trials * workers)
        seconds = time.perf_counter() - started
    point = Point(workers, 3600 * asked.trials * workers / seconds, failures)
    if not asked.json:
        print(f"{workers} workers: {point.trials_per_hour:.0f} trials/h", flush=True)
    return point


def _trials(resolved: Resolved, pool: ProcessPool, count: int) -> tuple[str, ...]:
    """Evaluate so many placements, the same ones every time; why some of them failed."""
    settings, agenda = resolved.settings, Agenda(resolved.settings, resolved.costs)
    drawn = (settings.space.sample(random.Random(number)) for number in itertools.count())
    placements = filter(agenda.allowed, drawn)
    given, running, failures = 0, 0, []
    while given < count or running:
        while given < count and running < pool.size:
            pool.submit(given, Evaluation(next(placements), settings.budget, 0, Role.PROPOSAL))
            given, running = given + 1, running + 1
        finished = pool.wait()
        running -= len(finished)
        failures += [one.answer.reason for one in finished if isinstance(one.answer, Failure)]
    return tuple(failures)


def _table(points: Sequence[Point], asked: argparse.Namespace) -> str:
    device = device_name(torch.device("cpu" if asked.device == "auto" else asked.device))
    lines = [
        f"{point.workers:>3} workers {point.trials_per_hour:8.0f} trials/h   "
        f"{point.trials_per_hour / points[0].trials_per_hour:5.2f}x   {len(point.failures)} failed"
        for point in points
    ]
    return "\n".join([device, *lines])


if __name__ == "__main__":
    sys.exit(main())
