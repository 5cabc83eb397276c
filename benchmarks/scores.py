"""Which score of a run tells best what its placement is worth, where IoU itself scatters from seed to seed.

Random placements of a space, the baseline among them, are trained as a search trains them, each with the same
seeds; every run is judged in several ways. What all runs of a seed have in common is taken off. A score is
*reliable* where little of its variance is left between the seeds of one placement (intraclass correlation; Shrout
and Fleiss 1979, ICC(3,1)). It *tells* what is sought where one run's score goes with the mean IoU of the
placement's other seeds, and is then *worth* so many runs that are judged by their IoU. Intervals are of resampled
placements. Each run is a line of JSON in ``--out``, and what is there is not run again.

    python benchmarks/scores.py --out scores.jsonl --data FOLDER --data FOLDER --placements 20 --seeds 5
    python benchmarks/scores.py --out scores.jsonl --table
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice, product
from multiprocessing import get_context

import numpy as np
import torch
from fidelity_runs import random_placements
from kept_runs import keeping_parser, train_and_print
from numpy.typing import NDArray
from starts import evaluator_of, name_of
from torch import Tensor

from nas_attn.budget import Budget
from nas_attn.config.settings import SYNTHETIC
from nas_attn.data.dataset import IGNORED
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.space import read_space
from nas_attn.study.setup.preset import Preset, preset_for
from nas_attn.training.evaluation import TrainingEvaluator
from nas_attn.training.images import DeviceImages
from nas_attn.training.loss import loss_of
from nas_attn.training.segmenter import Segmenter

Array = NDArray[np.float64]

SPACE, IOU = "unet_attention", "IoU"
RESAMPLES = 2000
_AT_ONCE = 16
"""Images that go through the network together."""


@dataclass(frozen=True)
class Run:
    """One run.

    Args:
        data: the name of the set.
        steps: of the run.
        placement: its number; 0 is the baseline.
        seed: of the run.
        scores: of the validation images by name, the higher the better.
    """

    data: str
    steps: int
    placement: int
    seed: int
    scores: dict[str, float]

    @property
    def key(self) -> tuple[object, ...]:
        """All but what was found."""
        return self.data, self.steps, self.placement, self.seed


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, write, and print the table."""
    asked = _parser().parse_args(arguments)
    asked.data = asked.data or [SYNTHETIC]
    return train_and_print(asked, Run, lambda runs: _new_runs(asked, {run.key for run in runs}), _table)


def _parser() -> argparse.ArgumentParser:
    parser = keeping_parser(__doc__)
    parser.add_argument("--data", action="append", help=f"a folder, or a built-in task ({SYNTHETIC})")
    parser.add_argument("--placements", type=int, default=20, help="the baseline and random ones (%(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each (%(default)s)")
    parser.add_argument("--steps", type=int, help="of a run (those of a search on a CPU)")
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    return parser


def _new_runs(asked: argparse.Namespace, known: set[tuple[object, ...]]) -> Iterator[Run]:
    tasks = []
    for seed, number, data in product(range(asked.seeds), range(asked.placements), asked.data):
        steps = asked.steps or preset_for("cpu", data).steps
        if (name_of(data), steps, number, seed) not in known:
            tasks.append((data, steps, number, seed))
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as workers:
        for job in as_completed([workers.submit(_run, *task) for task in tasks]):
            yield job.result()


def _run(data: str, steps: int, number: int, seed: int) -> Run:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    preset, evaluator = _task(data)
    budget = Budget(steps, preset.image_size, preset.batch_size)
    module = evaluator.trained(_placement(data, number), budget, seed)
    return Run(name_of(data), steps, number, seed, _scores(evaluator, evaluator.segmenter(module)))


@cache
def _task(data: str) -> tuple[Preset, TrainingEvaluator]:
    preset = preset_for("cpu", data)
    return preset, evaluator_of(data, preset, preset.base_channels)


def _placement(data: str, number: int) -> Placement:
    """The baseline for 0, then different ones within the limits of the space."""
    _, evaluator = _task(data)
    plain, size = evaluator.network, evaluator.validation.sizes[0]
    space = read_space(
        SPACE,
        catalogue(),
        in_channels=plain.in_channels,
        classes=plain.classes,
        base_channels=plain.base_channels,
        image_size=max(size),
    )
    attended = (placement for placement in random_placements(space) if placement.attended)
    return next(islice(chain([space.plain], attended), number, None))


@torch.no_grad()
def _scores(evaluator: TrainingEvaluator, segmenter: Segmenter) -> dict[str, float]:
    """By the answers as they are, and by probabilities averaged over flips and turns."""
    images, found = evaluator.validation, {}
    loss = loss_of(evaluator.recipe, images.device)
    for name, turns in (("", _TURNS[:1]), (", 8 turns", _TURNS)):
        pairs = [(_probabilities(segmenter, pixels, turns), masks) for pixels, masks in _batches(images)]
        sizes = np.array([masks.numel() for _, masks in pairs])
        losses = [float(loss(probabilities.log(), masks)) for probabilities, masks in pairs]
        found[f"{IOU}{name}"] = _overlap(pairs, soft=False)
        found[f"loss{name}"] = -float(np.average(losses, weights=sizes))
        found[f"soft IoU{name}"] = _overlap(pairs, soft=True)
    return found


_TURNS: tuple[tuple[int, bool], ...] = tuple(product(range(4), (False, True)))
"""Quarter turns, and whether an image is mirrored before them."""


def _probabilities(segmenter: Segmenter, pixels: Tensor, turns: Sequence[tuple[int, bool]]) -> Tensor:
    """Averaged over turned images, (N, K, H, W)."""
    total = torch.zeros(())
    for quarters, mirrored in turns:
        seen = torch.rot90(pixels.flip(3) if mirrored else pixels, quarters, (2, 3))
        said = torch.rot90(segmenter.logits(seen.contiguous()).softmax(1), -quarters, (2, 3))
        total = total + (said.flip(3) if mirrored else said)
    return (total / len(turns)).clamp_min(1e-12)


def _batches(images: DeviceImages) -> Iterator[tuple[Tensor, Tensor]]:
    """Images of one size each, with their masks."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for number, size in enumerate(images.sizes):
        by_size.setdefault(size, []).append(number)
    for numbers in by_size.values():
        for start in range(0, len(numbers), _AT_ONCE):
            yield images.images_of(numbers[start : start + _AT_ONCE])


def _overlap(pairs: Sequence[tuple[Tensor, Tensor]], *, soft: bool) -> float:
    """Mean over the classes that occur in the masks of intersection over union, all images pooled; soft, a pixel
    counts as much as it is held to be of the class."""
    both, either, labelled = (torch.zeros(pairs[0][0].shape[1], dtype=torch.float64) for _ in range(3))
    for probabilities, masks in pairs:
        known = (masks != IGNORED)[:, None]
        for index in range(len(both)):
            said = probabilities[:, index : index + 1]
            if not soft:
                said = (probabilities.argmax(1, keepdim=True) == index).float()
            true = (masks[:, None] == index).float()
            both[index] += (said * true * known).sum().double()
            either[index] += ((said + true - said * true) * known).sum().double()
            labelled[index] += (true * known).sum().double()
    return float((both / either)[labelled > 0].mean())


def _table(runs: Sequence[Run]) -> Iterator[str]:
    """In Markdown, a row for each set and score."""
    yield "| data | steps | placements x seeds | score | reliability | with other seeds' IoU | worth, in runs |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for data, steps in sorted({(run.data, run.steps) for run in runs}):
        tables = complete_tables([run for run in runs if (run.data, run.steps) == (data, steps)])
        shape = " x ".join(map(str, tables[IOU].shape))
        for name, table in tables.items():
            yield f"| {data} | {steps} | {shape} | {name} | {' | '.join(_judged(table, tables[IOU]))} |"


def _judged(table: Array, iou: Array) -> tuple[str, str, str]:
    """Reliability, agreement and worth of a score, each with its interval."""
    return (
        _with_interval(lambda rows: reliability(table[rows]), len(iou)),
        _with_interval(lambda rows: agreement(table[rows], iou[rows]), len(iou)),
        _with_interval(lambda rows: worth(table[rows], iou[rows]), len(iou)),
    )


def complete_tables(runs: Sequence[Run]) -> dict[str, Array]:
    """Of each score, placements by seeds; only placements that have all seeds."""
    seeds = sorted({run.seed for run in runs})
    by_placement: dict[int, dict[int, Run]] = {}
    for run in runs:
        by_placement.setdefault(run.placement, {})[run.seed] = run
    complete = [held for _, held in sorted(by_placement.items()) if len(held) == len(seeds)]
    return {
        name: np.array([[held[seed].scores[name] for seed in seeds] for held in complete])
        for name in runs[0].scores
    }


def reliability(table: Array) -> float:
    """Share of a run's variance that is its placement's, by seeds in common: (p, s) -> ICC(3,1)."""
    n_placements, n_seeds = table.shape
    left = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    between = n_seeds * table.mean(1).var(ddof=1)
    within = (left**2).sum() / ((n_placements - 1) * (n_seeds - 1))
    return float((between - within) / (between + (n_seeds - 1) * within))


def agreement(table: Array, iou: Array) -> float:
    """Correlation of one run's score with the mean IoU of its placement's other seeds, (p, s) each."""
    score, truth = table - table.mean(0), iou - iou.mean(0)
    others = (truth.sum(1, keepdims=True) - truth) / (truth.shape[1] - 1)
    others -= others.mean(0)
    return float((score * others).sum() / np.sqrt((score**2).sum() * (others**2).sum()))


def worth(table: Array, iou: Array) -> float:
    """How many runs by their IoU foretell other seeds' IoU as well as one by this score.

    The mean of n runs whose reliability is r goes with the truth by the root of n r / (1 + (n - 1) r).
    """
    by_iou = agreement(iou, iou)
    if by_iou <= 0:
        return float("nan")
    alone = max(1e-3, reliability(iou))
    squared = min(0.999, alone * max(0.0, agreement(table, iou) / by_iou) ** 2)
    return squared * (1 - alone) / (alone * (1 - squared))


def _with_interval(statistic: Callable[[Array], float], number: int) -> str:
    """A statistic of all placements, and of 95 % of resampled ones."""
    drawn = np.random.default_rng(0).integers(0, number, (RESAMPLES, number))
    low, high = np.nanquantile([statistic(rows) for rows in drawn], (0.025, 0.975))
    return f"{statistic(np.arange(number)):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    sys.exit(main())
