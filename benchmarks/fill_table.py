"""Train every placement of a small space for a long budget, and for a third and a ninth of it, with paired seeds.

The short runs start from scratch, and once more from the plain U-Net's weights after the long budget.

What comes out is a table in which a search can be looked up instead of run: ``strategies.py`` compares strategies
on it in seconds, against a truth that no model has made up.

    python benchmarks/fill_table.py --data FOLDER --table benchmarks/tables/tabulated.csv
    python benchmarks/fill_table.py --data clips --space benchmarks/spaces/tabulated_clips.yaml --steps 180 \
        --batch-size 2 --longest-side 32 --table benchmarks/tables/tabulated_clips.csv

It goes on where it was stopped: the table holds every placement that has ended.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch
from tabular import Cell, append_cells, read_cells

from nas_attn.budget import Budget, rungs
from nas_attn.errors import NasAttnError
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.space import SearchSpace, read_space
from nas_attn.training import Precision
from nas_attn.training.evaluation import DataSource, TrainingEvaluator


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the table lacks."""
    try:
        _measure(_parser().parse_args(arguments))
    except NasAttnError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="synthetic", help="a folder of images and masks, or synthetic, or clips")
    parser.add_argument("--space", default="benchmarks/spaces/tabulated.yaml")
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=360, help="of the long budget")
    parser.add_argument("--base-channels", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=32, help="side of the crops, in pixels")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--longest-side", type=int, default=64, help="larger images are shrunk to it")
    parser.add_argument(
        "--shares", type=_numbers, default=(3, 9), help="short budgets: 1/3 and 1/9; none for none"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    return parser


def _measure(asked: argparse.Namespace) -> None:
    """Seed by seed, so that a table that was stopped compares all placements with the seeds that it has."""
    done = frozenset(cell.key for cell in read_cells(asked.table))
    numbers = range(read_sized(asked).size)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.workers, mp_context=context) as workers:
        jobs = [
            workers.submit(_missing_cells, asked, number, seed, done)
            for seed in range(asked.seeds)
            for number in numbers
        ]
        for count, job in enumerate(as_completed(jobs), start=1):
            append_cells(asked.table, job.result())
            print(f"{count} of {len(jobs)} placements", file=sys.stderr, flush=True)


def _missing_cells(asked: argparse.Namespace, number: int, seed: int, done: frozenset[object]) -> list[Cell]:
    """All budgets of one placement and seed that the table lacks."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    placement, evaluator = _placements(asked)[number], _evaluator(asked)
    return [
        Cell(number, budget.steps, budget.pretraining, seed, _iou(evaluator, placement, budget, seed))
        for budget in _budgets(asked)
        if (number, budget.steps, budget.pretraining, seed) not in done
    ]


def _budgets(asked: argparse.Namespace) -> list[Budget]:
    """The long one; its shares from scratch; its shares from the plain U-Net's weights after the long one."""
    top = Budget(asked.steps, asked.image_size, asked.batch_size)
    short = tuple(asked.steps // share for share in sorted(asked.shares, reverse=True))
    return [*rungs(short, top), *rungs(short, top, pretrained=True)[:-1]]


def _numbers(text: str) -> tuple[int, ...]:
    """``3,9``; ``none`` for none."""
    return () if text == "none" else tuple(int(part) for part in text.split(","))


def _iou(evaluator: TrainingEvaluator, placement: Placement, budget: Budget, seed: int) -> float:
    return evaluator.score(evaluator.trained(placement, budget, seed)).iou


def read_sized(asked: argparse.Namespace) -> SearchSpace:
    """The space, with the sizes that the data and the settings give it.

    Args:
        asked: ``space``, ``base_channels`` and ``image_size``, and what ``source_of`` takes.
    """
    dataset = source_of(asked).load()
    return read_space(
        asked.space,
        catalogue(),
        in_channels=dataset.in_channels,
        classes=len(dataset.classes),
        base_channels=asked.base_channels,
        image_size=asked.image_size,
    )


def source_of(asked: argparse.Namespace) -> DataSource:
    """The data: ``data`` and ``longest_side``."""
    if asked.data == "synthetic":
        return DataSource(image_size=asked.longest_side, n_train=256, n_val=96)
    if asked.data == "clips":
        return DataSource(image_size=asked.longest_side, n_train=64, n_val=24, task="clips")
    return DataSource(asked.data, asked.longest_side)


_KEPT: dict[str, Any] = {}
"""What a worker process keeps from one placement to the next."""


def _evaluator(asked: argparse.Namespace) -> TrainingEvaluator:
    if "evaluator" not in _KEPT:
        precision = Precision(channels_last=True)
        network = read_sized(asked).network
        _KEPT["evaluator"] = TrainingEvaluator(network, source_of(asked), asked.device, precision)
    kept: TrainingEvaluator = _KEPT["evaluator"]
    return kept


def _placements(asked: argparse.Namespace) -> list[Placement]:
    """All of the space, in its own order: a placement's number is its place in it."""
    if "placements" not in _KEPT:
        _KEPT["placements"] = list(read_sized(asked).placements())
    kept: list[Placement] = _KEPT["placements"]
    return kept


if __name__ == "__main__":
    sys.exit(main())
