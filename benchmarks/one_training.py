"""Whether one training can compare all placements of a space: its networks share their weights, and each batch
trains another of them.

All that may stand at a location stands there side by side. Each step runs one placement, drawn so that every
placement is trained once before any is trained again. What a placement is worth is then read in two ways: its own
IoU on the validation images, with BatchNorm statistics of its own passes (Guo et al. 2020, arXiv:1904.00420), and
what its attentions took off the training losses of the second half of the steps, by least squares (a factorial
experiment in time). Both are compared with a table in which every placement has been trained by itself.

    python benchmarks/one_training.py --data FOLDER --space benchmarks/spaces/tabulated_leaf.yaml \\
        --table benchmarks/tables/tabulated_leaf.csv
    python benchmarks/one_training.py --data clips --space benchmarks/spaces/tabulated_clips.yaml \\
        --table benchmarks/tables/tabulated_clips.csv --batch-size 2 --longest-side 32
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from fill_table import read_sized, source_of
from numpy.typing import NDArray
from scipy.stats import rankdata
from tabular import Table
from torch import Tensor, nn

from nas_attn.budget import Budget
from nas_attn.errors import NasAttnError
from nas_attn.models.attention import attention_at, takes_upconvolved
from nas_attn.models.catalogue import KINDS
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec
from nas_attn.models.unet import UNet
from nas_attn.space import SearchSpace
from nas_attn.training import Precision, Recipe, Segmenter, initialise, score_images, start_at_frequencies
from nas_attn.training.evaluation import pack_sets
from nas_attn.training.evaluation.data_source import PackedSets
from nas_attn.training.generator import keyed_generator
from nas_attn.training.step import TrainingStep

STARTS = ("identity", "paper")
RESAMPLES = 2000
Array = NDArray[np.float64]


class Alternatives(nn.Module):
    """All that may stand at a location, of which one is run at a time, or none.

    Args:
        modules: by the number of the choice; a choice without one passes the feature on.
        gated: those that take the gating signal too.
    """

    def __init__(self, modules: Mapping[int, nn.Module], gated: frozenset[int]) -> None:
        super().__init__()
        self.choices = nn.ModuleDict({str(number): module for number, module in modules.items()})
        self.gated = gated
        self.chosen = 0

    def forward(self, feature: Tensor, gate: Tensor | None = None) -> Tensor:
        if str(self.chosen) not in self.choices:
            return feature
        module = self.choices[str(self.chosen)]
        attended: Tensor = module(feature, gate) if self.chosen in self.gated else module(feature)
        return attended


@dataclass(frozen=True, eq=False)
class SharedNetwork:
    """Every network of a space in one.

    Args:
        unet: with alternatives at each location that has any.
        alternatives: in the order of the space's locations.
    """

    unet: UNet
    alternatives: tuple[Alternatives, ...]

    @classmethod
    def of(cls, space: SearchSpace, start: str) -> SharedNetwork:
        """Built, not initialised; attentions that know several starts have the one that is asked for."""
        network, sites = space.network, {site.location: site for site in space.sites}
        assert isinstance(network, UNetConfig)
        modules, gated, finely = {}, set(), set()
        for location, specs in space.choices:
            built, of_gate = {}, set()
            for number, spec in enumerate(specs):
                if spec == NONE:
                    continue
                spec = with_start(spec, start)
                built[number] = attention_at(spec, sites[location], network.classes)
                if KINDS[spec.kind].kind.needs_gate:
                    of_gate.add(number)
                    gated.add(str(location))
                    if takes_upconvolved(spec):
                        finely.add(str(location))
            modules[str(location)] = Alternatives(built, frozenset(of_gate))
        unet = UNet(
            network.in_channels,
            network.classes,
            network.depth,
            network.base_channels,
            network.norm,
            network.upsampling,
            attention=modules,
            gated=gated,
            gated_finely=finely,
        )
        return cls(unet, tuple(modules.values()))

    def become(self, choices: Sequence[int]) -> None:
        """Run the placement with these choices from now on."""
        for alternatives, choice in zip(self.alternatives, choices, strict=True):
            alternatives.chosen = int(choice)


def with_start(spec: AttentionSpec, start: str) -> AttentionSpec:
    """The same attention with another start, where its kind knows several."""
    kind = KINDS[spec.kind].kind
    given = {name: value for name, value in spec.options if name != "start"}
    return kind.spec({**given, "start": start} if "start" in kind.complete(spec) else given)


@dataclass(frozen=True)
class Reading:
    """What one training says of all placements of a space.

    Args:
        ious: each placement's own, in points.
        effects: what its attentions took off the training loss, likewise of each placement.
        seconds: of the processor, for the training and for judging all placements.
    """

    ious: Array
    effects: Array
    seconds: tuple[float, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train once for each seed, and print what the trainings foretell."""
    asked = _parser().parse_args(arguments)
    try:
        space = read_sized(asked)
        table = Table.read(asked.table, space.size)
        truth = [
            100 * np.array([table.ious[number, table.steps[-1], 0, seed] for number in range(space.size)])
            for seed in table.seeds
        ]
        with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as workers:
            readings = list(workers.map(_read, *zip(*((asked, seed) for seed in range(asked.seeds)), strict=True)))
    except NasAttnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in _report(readings, truth):
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder of images and masks, or synthetic, or clips")
    parser.add_argument("--space", required=True, help="the space of the table")
    parser.add_argument("--table", type=Path, required=True, help="of every placement, trained by itself")
    parser.add_argument("--seeds", type=int, default=3, help="trainings (%(default)s)")
    parser.add_argument("--steps", type=int, default=1000, help="of each of them (%(default)s)")
    parser.add_argument("--start", choices=STARTS, default=STARTS[0], help="of the attentions (%(default)s)")
    parser.add_argument("--base-channels", type=int, default=8, help="of the network (%(default)s)")
    parser.add_argument("--image-size", type=int, default=32, help="side of the crops in pixels (%(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="crops of a step (%(default)s)")
    parser.add_argument(
        "--longest-side", type=int, default=64, help="larger images are shrunk to it (%(default)s)"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    return parser


def _read(asked: argparse.Namespace, seed: int) -> Reading:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    space = read_sized(asked)
    sets = pack_sets(source_of(asked).load(), torch.device("cpu"), space.network.frames)
    precision, recipe = Precision(channels_last=True), Recipe()
    shared = SharedNetwork.of(space, asked.start)
    initialise(shared.unet, seed)
    start_at_frequencies(shared.unet, *sets.train.class_counts)
    module = precision.place(shared.unet, torch.device("cpu"))
    budget = Budget(asked.steps, asked.image_size, asked.batch_size)
    choices = np.array([space.index_of(placement) for placement in space.placements()])
    began = time.process_time()
    step = TrainingStep(module, sets.train, budget, seed, recipe=recipe, precision=precision)
    module.train()
    drawn = _balanced(len(choices), asked.steps, seed)
    for number, placement in enumerate(drawn):
        step.prepare(number)
        shared.become(choices[placement])
        step()
    trained = time.process_time()
    ious = np.array([100 * _iou(shared, one, step, sets, precision, space) for one in choices])
    effects = _effects(step.losses.numpy().astype(float), choices[drawn], choices)
    return Reading(ious, effects, (trained - began, time.process_time() - trained))


def _balanced(placements: int, steps: int, seed: int) -> NDArray[np.int64]:
    """The placement of each step, (steps,): all of them in an order drawn anew each time round."""
    rounds = range(-(-steps // placements))
    orders = [torch.randperm(placements, generator=keyed_generator("shared", seed, number)) for number in rounds]
    drawn: NDArray[np.int64] = torch.cat(orders)[:steps].numpy()
    return drawn


def _iou(
    shared: SharedNetwork,
    choices: Sequence[int],
    step: TrainingStep,
    sets: PackedSets,
    precision: Precision,
    space: SearchSpace,
) -> float:
    shared.become(choices)
    step.recalibrate()
    least, classes = space.network.min_image_size, space.network.classes
    segmenter = Segmenter(shared.unet, sets.val.mean, sets.val.std, least, precision)
    return score_images(segmenter, sets.val, classes).iou


def _effects(losses: Array, drawn: NDArray[np.int64], choices: NDArray[np.int64]) -> Array:
    """What each placement's attentions took off the loss of the second half of the steps, by least squares.

    The loss falls along a line of time; each attention shifts it by a constant.
    """
    late = np.arange(len(losses) // 2, len(losses))
    alone = [(place, one) for place in range(choices.shape[1]) for one in range(1, choices[:, place].max() + 1)]
    attended = np.stack([drawn[late, place] == one for place, one in alone], axis=1).astype(float)
    design = np.column_stack([attended, np.ones(len(late)), np.linspace(-1, 1, len(late))])
    fitted = np.linalg.lstsq(design, losses[late], rcond=None)[0][: len(alone)]
    of_all = np.stack([choices[:, place] == one for place, one in alone], axis=1).astype(float)
    taken: Array = -of_all @ fitted
    return taken


def _report(readings: Sequence[Reading], truth: Sequence[Array]) -> Iterator[str]:
    """Rank correlations in Markdown; intervals by drawing placements anew."""
    ious, effects = ([getattr(one, name) for one in readings] for name in ("ious", "effects"))
    mean = np.mean(truth, axis=0)
    trained, judged = (np.mean([one.seconds[part] for one in readings]) for part in (0, 1))
    yield f"{len(mean)} placements; {len(readings)} trainings of {trained:.0f} s, and {judged:.0f} s to judge all."
    yield "| compared with the mean of the table's seeds | rank correlation (95 %) |"
    yield "| --- | --- |"
    for name, found in (("own IoU", ious), ("effects on the training loss", effects)):
        yield f"| {name}, mean of all trainings | {_with_interval(np.mean(found, axis=0), mean)} |"
        for number, one in enumerate(found):
            yield f"| {name}, training {number} | {_with_interval(one, mean)} |"
        if len(found) > 1:
            yield f"| {name}, between two trainings | {_among(found):+.2f} |"
    yield f"| single full runs, between two seeds | {_among(truth):+.2f} |"
    others = [np.mean([one for one in truth if one is not held], axis=0) for held in truth]
    single = np.mean([_correlation(held, other) for held, other in zip(truth, others, strict=True)])
    yield f"| a single full run, with the mean of the other seeds | {single:+.2f} |"
    spread = [float(np.std(one, ddof=1)) for one in (mean, np.mean(ious, axis=0))]
    yield f"\nBetween placements: {spread[0]:.2f} points in the table, {spread[1]:.2f} in the shared network."


def _among(found: Sequence[Array]) -> float:
    pairs = [(one, other) for place, one in enumerate(found) for other in found[place + 1 :]]
    return float(np.mean([_correlation(one, other) for one, other in pairs]))


def _with_interval(found: Array, truth: Array) -> str:
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(truth), size=(RESAMPLES, len(truth)))
    low, high = np.quantile([_correlation(found[one], truth[one]) for one in drawn], [0.025, 0.975])
    return f"{_correlation(found, truth):+.2f} ({low:+.2f} to {high:+.2f})"


def _correlation(one: Array, other: Array) -> float:
    """Spearman's."""
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


if __name__ == "__main__":
    sys.exit(main())
