"""How soon networks converge under one recipe and another: IoU after so many steps, and the seconds they take.

Recipes are changes of the usual one, written as ``name=value``; the first is what the others are compared with, by
pairs of one data set, attention and seed. The attention stands everywhere it may, in the networks of a search on a
CPU. Each run is a line of JSON in ``--out``, and what is there is not run again.

    python benchmarks/recipes.py --out recipes.jsonl --data FOLDER --data FOLDER --recipe optimiser=adamw \\
        --recipe optimiser=muon --steps 300,1000 --seeds 2
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
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import product
from multiprocessing import get_context

import torch
from kept_runs import keeping_parser, train_and_print
from scipy.stats import ttest_1samp
from starts import NEW, PLAIN, evaluator_of, everywhere, name_of

from nas_attn.budget import Budget
from nas_attn.config.settings import SYNTHETIC
from nas_attn.errors import UsageError, did_you_mean
from nas_attn.optimisers import ADAMW, MUON
from nas_attn.study.setup.preset import preset_for
from nas_attn.training import Recipe
from nas_attn.training.evaluation import TrainingEvaluator

USUAL, ALL = "usual", "all"
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
    """

    data: str
    attention: str
    recipe: str
    steps: int
    seed: int
    iou: float
    seconds: float

    @property
    def key(self) -> tuple[object, ...]:
        """All but what was found."""
        return self.data, self.attention, self.recipe, self.steps, self.seed


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
    parser.add_argument("--recipe", action="append", metavar="CHANGES", help=f"name=value,... ({USUAL})")
    parser.add_argument("--attention", default=f"{PLAIN},se,scse", metavar="KINDS", help="which (%(default)s)")
    parser.add_argument("--steps", default="300", help="of the runs, several by commas (%(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    return parser


def recipe_of(changes: str) -> Recipe:
    """The usual recipe with ``name=value,...``; ``usual`` changes nothing.

    Raises:
        UsageError: no setting of a recipe has the name, or it cannot have the value.
    """
    recipe = Recipe()
    known = {one.name: getattr(recipe, one.name) for one in fields(Recipe)}
    for change in [] if changes == USUAL else changes.split(","):
        name, _, text = change.partition("=")
        if name not in known:
            raise UsageError(f"--recipe: no setting is called '{name}'; {did_you_mean(name, known)}")
        if name == "optimiser" and text not in (MUON, ADAMW):
            raise UsageError(f"--recipe {change}: must be {MUON} or {ADAMW}")
        try:
            recipe = replace(recipe, **{name: type(known[name])(text)})
        except ValueError:
            raise UsageError(f"--recipe {change}: must be a {type(known[name]).__name__}") from None
    return recipe


def _new_runs(asked: argparse.Namespace, known: set[tuple[object, ...]]) -> Iterator[Run]:
    """Two runs at a time; a pair of recipes is trained one after the other, so that both find the same machine."""
    for changes in asked.recipe:
        recipe_of(changes)  # before anything is trained
    steps = [int(number) for number in asked.steps.split(",")]
    tasks = [
        (data, attention, recipe, number, seed)
        for number, seed, data, attention, recipe in product(
            steps, range(asked.seeds), asked.data, asked.attention.split(","), asked.recipe
        )
        if (name_of(data), attention, recipe, number, seed) not in known
    ]
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as workers:
        for job in as_completed([workers.submit(_run, *task) for task in tasks]):
            yield job.result()


def _run(data: str, attention: str, recipe: str, steps: int, seed: int) -> Run:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    preset, evaluator = preset_for("cpu", data), _evaluator(data, recipe)
    placement = everywhere(attention, evaluator.network, NEW)
    assert len(evaluator.validation)  # the data are read before the time is taken
    began = time.process_time()
    module = evaluator.trained(placement, Budget(steps, preset.image_size, preset.batch_size), seed)
    seconds = time.process_time() - began
    return Run(name_of(data), attention, recipe, steps, seed, 100 * evaluator.score(module).iou, seconds)


@cache
def _evaluator(data: str, recipe: str) -> TrainingEvaluator:
    preset = preset_for("cpu", data)
    return replace(evaluator_of(data, preset, preset.base_channels), recipe=recipe_of(recipe))


def _table(runs: Sequence[Run], reference: str) -> Iterator[str]:
    """In Markdown: of each recipe and number of steps all sets and attentions together, then each by itself."""
    yield "| data | attention | recipe | steps | runs | IoU x100 | seconds | less the first recipe | p |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    groups: dict[tuple[str, str, str, int], list[Run]] = defaultdict(list)
    for run in runs:
        for data, attention in ((ALL, ALL), (run.data, run.attention)):
            groups[data, attention, run.recipe, run.steps].append(run)
    of_reference = {run.key: run for run in runs if run.recipe == reference}
    for (data, attention, recipe, steps), found in sorted(groups.items()):
        pairs = [(run, of_reference.get(replace(run, recipe=reference).key)) for run in found]
        gains = [run.iou - other.iou for run, other in pairs if other is not None and recipe != reference]
        iou, seconds = (statistics.fmean(getattr(run, name) for run in found) for name in ("iou", "seconds"))
        yield (
            f"| {data} | {attention} | {recipe} | {steps:,} | {len(found)} | {iou:.1f} | {seconds:.0f} | "
            f"{' | '.join(_gain(gains))} |"
        )


def _gain(gains: Sequence[float]) -> tuple[str, str]:
    """The mean difference with half of its 95 % interval, and p of Student's test that it is 0."""
    if len(gains) < LEAST_PAIRS:
        return f"{statistics.fmean(gains):+.1f}" if gains else "", ""
    found = ttest_1samp(gains, 0.0)
    half = (found.confidence_interval().high - found.confidence_interval().low) / 2
    return f"{statistics.fmean(gains):+.1f} ±{half:.1f}", f"{found.pvalue:.2g}"


if __name__ == "__main__":
    sys.exit(main())
