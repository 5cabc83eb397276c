"""How soon networks converge under one recipe and another: IoU after so many steps, and the seconds they take.

Recipes are changes of the usual one, written as ``name=value``, with ``batch_size=N`` for other batches of as many
crops in all, or as the name of one of ``variants.py``; the first is what the others are compared with, by pairs of
one data set, attention and seed. The attention stands everywhere it may, in the network of a search on a CPU or
in one of another library.
Each run is a line of JSON in ``--out``, and what is there is not run again.

    python benchmarks/recipes.py --out recipes.jsonl --data FOLDER --data FOLDER --recipe optimiser=adamw \\
        --recipe optimiser=muon --steps 300,1000 --seeds 2
    python benchmarks/recipes.py --out recipes.jsonl --data FOLDER --recipe usual --recipe batch_size=16 \\
        --recipe optimiser=adamw,lion,peak_learning_rate=0.002
    python benchmarks/recipes.py --out theirs.jsonl --data FOLDER --network smp:Unet/resnet18 --recipe usual \\
        --recipe optimiser=muon,peak_learning_rate=0.02
    python benchmarks/recipes.py --out recipes.jsonl --table
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import product
from multiprocessing import get_context
from typing import Any

import torch
from kept_runs import keeping_parser, train_and_print
from scipy.stats import ttest_1samp
from starts import NEW, PLAIN, evaluator_of, everywhere, name_of, source_of
from their_networks import evaluator_in
from variants import VARIANTS

from nas_attn.budget import Budget
from nas_attn.config.settings import SYNTHETIC
from nas_attn.errors import UsageError, did_you_mean
from nas_attn.losses import ADAMW, MUON
from nas_attn.models.asked_network import NO_WEIGHTS
from nas_attn.study.setup.preset import Preset, preset_for
from nas_attn.training import Recipe
from nas_attn.training.evaluation import TrainingEvaluator

USUAL, ALL, BATCH_SIZE, OURS = "usual", "all", "batch_size", "unet"
LEAST_PAIRS = 3


@dataclass(frozen=True)
class Run:
    """One run.

    Args:
        data: the name of the set.
        attention: everywhere it may stand; ``plain`` for none.
        recipe: its changes.
        steps: of the run.
        seed: of the run.
        iou: mean IoU of the validation images, x100.
        seconds: of the processor, for the training.
        network: that it stands in, and whether it began with weights.
    """

    data: str
    attention: str
    recipe: str
    steps: int
    seed: int
    iou: float
    seconds: float
    network: str = OURS

    @property
    def key(self) -> tuple[object, ...]:
        """All but what was found."""
        return self.network, self.data, self.attention, self.recipe, self.steps, self.seed


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, write, and print the table."""
    asked = _parser().parse_args(arguments)
    asked.data, asked.recipe = asked.data or [SYNTHETIC], asked.recipe or [USUAL]
    return train_and_print(
        asked,
        Run,
        lambda runs: _new_runs(asked, {run.key for run in runs}),
        lambda runs: _table(runs, asked.recipe[0]),
    )


def _parser() -> argparse.ArgumentParser:
    parser = keeping_parser(__doc__)
    parser.add_argument("--data", action="append", help=f"a folder, or a built-in task ({SYNTHETIC})")
    parser.add_argument("--network", default=OURS, help="of another library, such as smp:Unet/resnet18 (ours)")
    parser.add_argument("--weights", default=NO_WEIGHTS, help="that its encoder begins with: a file (%(default)s)")
    parser.add_argument("--recipe", action="append", metavar="CHANGES", help=f"name=value,... ({USUAL})")
    parser.add_argument("--attention", default=f"{PLAIN},se,scse", metavar="KINDS", help="which (%(default)s)")
    parser.add_argument("--steps", default="300", help="of the runs, several by commas (%(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    return parser


@dataclass(frozen=True)
class Raced:
    """How a run is trained.

    Args:
        recipe: of the network.
        batch_size: crops of a batch; None for the preset's. Steps change so that there are as many crops in all.
        variants: names of those of ``VARIANTS`` that are taken.
    """

    recipe: Recipe
    batch_size: int | None = None
    variants: tuple[str, ...] = ()

    @classmethod
    def of(cls, changes: str, usual: Recipe) -> Raced:
        """The usual recipe with ``name=value,...`` or names of variants; ``usual`` changes nothing.

        Raises:
            UsageError: nothing has the name, or it cannot have the value.
        """
        raced = cls(usual)
        known: dict[str, Any] = {one.name: getattr(raced.recipe, one.name) for one in fields(Recipe)}
        known[BATCH_SIZE] = 8
        for change in [] if changes == USUAL else changes.split(","):
            name, _, text = change.partition("=")
            if change in VARIANTS:
                raced = replace(raced, variants=(*raced.variants, change))
                continue
            if name not in known:
                near = did_you_mean(name, [*known, *VARIANTS])
                raise UsageError(f"--recipe: no setting and no variant is called '{name}'; {near}")
            if name == "optimiser" and text not in (MUON, ADAMW):
                raise UsageError(f"--recipe {change}: must be {MUON} or {ADAMW}")
            try:
                value = type(known[name])(text)
            except ValueError:
                raise UsageError(f"--recipe {change}: must be a {type(known[name]).__name__}") from None
            if name == BATCH_SIZE:
                raced = replace(raced, batch_size=value)
            else:
                raced = replace(raced, recipe=replace(raced.recipe, **{name: value}))
        return raced

    def budget(self, steps: int, preset: Preset) -> Budget:
        """Of as many crops as so many steps of the preset have."""
        if self.batch_size is None:
            return Budget(steps, preset.image_size, preset.batch_size)
        return Budget(round(steps * preset.batch_size / self.batch_size), preset.image_size, self.batch_size)


def _new_runs(asked: argparse.Namespace, known: set[tuple[object, ...]]) -> Iterator[Run]:
    """Two runs at a time; a pair of recipes is trained one after the other, so that both find the same machine."""
    for changes in asked.recipe:
        Raced.of(changes, Recipe())  # before anything is trained
    steps = [int(number) for number in asked.steps.split(",")]
    name = _name_of(asked.network, asked.weights)
    tasks = [
        (asked.network, asked.weights, data, attention, recipe, number, seed)
        for number, seed, data, attention, recipe in product(
            steps, range(asked.seeds), asked.data, asked.attention.split(","), asked.recipe
        )
        if (name, name_of(data), attention, recipe, number, seed) not in known
    ]
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as workers:
        for job in as_completed([workers.submit(_run, *task) for task in tasks]):
            yield job.result()


def _run(network: str, weights: str, data: str, attention: str, recipe: str, steps: int, seed: int) -> Run:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    raced, preset, evaluator = _raced(network, weights, data, recipe)
    placement = everywhere(attention, evaluator.network, NEW)
    assert len(evaluator.validation)  # the data are read before the time is taken
    budget = raced.budget(steps, preset)
    with ExitStack() as patches:
        for name in raced.variants:
            patches.enter_context(VARIANTS[name]())
        began = time.process_time()
        module = evaluator.trained(placement, budget, seed)
        seconds = time.process_time() - began
    iou = 100 * evaluator.score(module).iou
    return Run(name_of(data), attention, recipe, steps, seed, iou, seconds, _name_of(network, weights))


def _name_of(network: str, weights: str) -> str:
    """What a network is called in a table."""
    return network if weights == NO_WEIGHTS else f"{network} with weights"


@cache
def _raced(network: str, weights: str, data: str, recipe: str) -> tuple[Raced, Preset, TrainingEvaluator]:
    """How runs of a recipe are trained, at which sizes, and by whom."""
    preset = preset_for("cpu", data, ours=network == OURS)
    if network == OURS:
        usual = evaluator_of(data, preset, preset.base_channels)
    else:
        usual = evaluator_in(network, source_of(data, preset), weights)
    raced = Raced.of(recipe, usual.recipe)
    return raced, preset, replace(usual, recipe=raced.recipe)


def _table(runs: Sequence[Run], reference: str) -> Iterator[str]:
    """In Markdown: of each recipe and number of steps all sets and attentions together, then each by itself."""
    yield "| network | data | attention | recipe | steps | runs | IoU x100 | seconds | less the first recipe | p |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    groups: dict[tuple[str, str, str, str, int], list[Run]] = defaultdict(list)
    for run in runs:
        for data, attention in ((ALL, ALL), (run.data, run.attention)):
            groups[run.network, data, attention, run.recipe, run.steps].append(run)
    of_reference = {run.key: run for run in runs if run.recipe == reference}
    for (network, data, attention, recipe, steps), found in sorted(groups.items()):
        pairs = [(run, of_reference.get(replace(run, recipe=reference).key)) for run in found]
        gains = [run.iou - other.iou for run, other in pairs if other is not None and recipe != reference]
        iou, seconds = (statistics.fmean(getattr(run, name) for run in found) for name in ("iou", "seconds"))
        cells = network, data, attention, recipe, f"{steps:,}", len(found), f"{iou:.1f}", f"{seconds:.0f}"
        yield f"| {' | '.join(map(str, (*cells, *_gain(gains))))} |"


def _gain(gains: Sequence[float]) -> tuple[str, str]:
    """The mean difference with half of its 95 % interval, and p of Student's test that it is 0."""
    if len(gains) < LEAST_PAIRS:
        return f"{statistics.fmean(gains):+.1f}" if gains else "", ""
    found = ttest_1samp(gains, 0.0)
    half = (found.confidence_interval().high - found.confidence_interval().low) / 2
    return f"{statistics.fmean(gains):+.1f} ±{half:.1f}", f"{found.pvalue:.2g}"


if __name__ == "__main__":
    sys.exit(main())
