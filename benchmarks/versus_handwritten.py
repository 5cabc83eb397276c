"""Trials per hour against the search that a competent user would write by hand (handwritten.py).

Both train the same placements for the same number of steps on the same PNG files, and take turns, a round of
trials each, in one process environment. A round is timed from its first finished trial to its last, so that
neither pays for starting its processes.

    python benchmarks/versus_handwritten.py
    python benchmarks/versus_handwritten.py --device cuda --image-size 64 --base-channels 16 --steps 1500
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import random
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import optuna
import torch
from handwritten import Task, search
from PIL import Image

from nas_attn.budget import Budget
from nas_attn.config.settings import StudyRequest
from nas_attn.data import Dataset, LabelledImages, smears
from nas_attn.errors import NasAttnError
from nas_attn.models.placement import Placement
from nas_attn.record import Role, State, TrialRecord
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.strategy.settings import Plan
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.loop import run_trials
from nas_attn.study.setup.resolve import Resolved, resolve
from nas_attn.study.workers.process_pool import ProcessPool
from nas_attn.training.evaluation import write_sets
from nas_attn.training.metrics import device_name


@dataclass(frozen=True)
class Comparison:
    """Trials per hour of both, round by round.

    Args:
        device: and its name.
        workers: processes of nas-attn.
        ours: trials per hour.
        theirs: trials per hour of the hand-written search.
    """

    device: str
    workers: int
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours over theirs, of each round."""
        return tuple(mine / other for mine, other in zip(self.ours, self.theirs, strict=True))


class FixedAgenda:
    """Asks for given placements, one after the other."""

    def __init__(self, placements: Sequence[Placement], budget: Budget) -> None:
        self._placements, self._budget = placements, budget

    def next(self, records: Sequence[TrialRecord], pending: Sequence[TrialRecord]) -> Evaluation:
        number = len(records) + len(pending)
        return Evaluation(self._placements[number], self._budget, number, Role.REFERENCE)

    def is_over(self, records: Sequence[TrialRecord], n_started: int) -> bool:
        return n_started >= len(self._placements)

    def n_visible(self, records: Sequence[TrialRecord]) -> int:
        return len(records)

    def n_decisive(self, records: Sequence[TrialRecord]) -> int:
        return 0

    def with_plan(self, plan: Plan) -> FixedAgenda:
        return self


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    asked = _parser().parse_args(arguments)
    for noisy in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            comparison = _compare(asked, Path(folder))
    except NasAttnError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(asdict(comparison), indent=1) if asked.json else _table(comparison))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="unet_attention")
    parser.add_argument("--image-size", type=int, default=32, help="side of the images and the crops, in pixels")
    parser.add_argument("--base-channels", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--trials", type=int, default=6, help="of each side and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=None, help="of nas-attn; as many as it takes by itself")
    parser.add_argument("--loader-workers", type=int, default=2, help="of the hand-written DataLoader")
    parser.add_argument("--json", action="store_true")
    return parser


def _compare(asked: argparse.Namespace, folder: Path) -> Comparison:
    pictures = smears(image_size=asked.image_size, n_train=256, n_val=96, n_test=96)
    _write(pictures, folder / "data")
    resolved = resolve(
        StudyRequest(
            space=asked.space,
            data=str(folder / "data"),
            base_channels=asked.base_channels,
            image_size=asked.image_size,
            batch_size=asked.batch_size,
            steps=asked.steps,
            device=asked.device,
            workers=asked.workers or "auto",
        )
    )
    settings = resolved.settings
    task = Task(
        folder=folder / "data",
        network=settings.space.network,
        steps=asked.steps,
        crop=asked.image_size,
        batch_size=asked.batch_size,
        mean=settings.mean,
        std=settings.std,
        loader_workers=asked.loader_workers,
        bfloat16=settings.precision.bfloat16,
    )
    packed = write_sets(resolved.dataset, folder / "packed")
    ours, theirs = [], []
    with ProcessPool(resolved.evaluators(packed)) as pool:
        for number in range(asked.rounds):
            placements = _placements(resolved, asked.trials, random.Random(number))
            ours.append(_our_rate(resolved, pool, placements, folder / f"ours{number}.db"))
            theirs.append(_their_rate(task, placements, folder / f"theirs{number}.db"))
            if not asked.json:
                ratio = ours[-1] / theirs[-1]
                print(
                    f"round {number + 1}: {ours[-1]:.0f} and {theirs[-1]:.0f} trials/h, {ratio:.2f}x", flush=True
                )
    return Comparison(device_name(torch.device(settings.devices[0])), settings.workers, tuple(ours), tuple(theirs))


def _placements(resolved: Resolved, count: int, generator: random.Random) -> list[Placement]:
    """Placements that keep the limits of the space, as a search would evaluate them."""
    agenda = Agenda(resolved.settings, resolved.costs)
    drawn = (resolved.settings.space.sample(generator) for _ in itertools.count())
    return list(itertools.islice(filter(agenda.allowed, drawn), count))


def _our_rate(resolved: Resolved, pool: ProcessPool, placements: Sequence[Placement], path: Path) -> float:
    settings = resolved.settings
    finished: dict[int, float] = {}

    def note(records: Sequence[TrialRecord]) -> None:
        for record in records:
            if record.state is not State.RUNNING:
                finished.setdefault(record.number, time.perf_counter())

    ledger = Ledger.create(f"sqlite:///{path}", "ours", {}, {}, settings.cost)
    of_round = replace(settings, trials=len(placements))
    run_trials(of_round, ledger, FixedAgenda(placements, settings.budget), pool, note)  # type: ignore[arg-type]
    return _rate(sorted(finished.values()))


def _their_rate(task: Task, placements: Sequence[Placement], path: Path) -> float:
    study = search(task, placements, f"sqlite:///{path}")
    return _rate(sorted(trial.datetime_complete.timestamp() for trial in study.trials if trial.datetime_complete))


def _rate(moments: Sequence[float]) -> float:
    """Trials per hour between the first that finished and the last."""
    return 3600 * (len(moments) - 1) / (moments[-1] - moments[0])


def _write(dataset: Dataset, folder: Path) -> None:
    for split in ("train", "val", "test"):
        images: LabelledImages = getattr(dataset, split)
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for index, (pixels, mask) in enumerate(zip(images.pixels, images.masks, strict=True)):
            name = f"{index:04}.png"
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / "images" / split / name)
            Image.fromarray(np.asarray(mask)).save(folder / "masks" / split / name)


def _table(comparison: Comparison) -> str:
    rows = [
        ("nas-attn", comparison.ours, f"{comparison.workers} workers"),
        ("by hand", comparison.theirs, "1 process"),
    ]
    lines = [f"{name:<10} {statistics.median(rates):8.0f} trials/h   {note}" for name, rates, note in rows]
    ratios = " ".join(f"{ratio:.2f}" for ratio in comparison.ratios)
    return "\n".join(
        [comparison.device, *lines, f"ratio      {statistics.median(comparison.ratios):8.2f}   ({ratios})"]
    )


if __name__ == "__main__":
    sys.exit(main())
