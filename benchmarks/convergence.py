"""How long a U-Net must be trained on a data set: its IoU at doubling budgets, each a complete run.

A budget is long enough when twice as many steps gain no more than an IoU point or the noise between seeds.

    python benchmarks/convergence.py
    python benchmarks/convergence.py --data FOLDER --image-size 64 --steps 200,400,800 --seeds 2
    python benchmarks/convergence.py --steps 160 --attention plain --attention se --attention 'scse@decoder'

Several attentions are trained from the same seeds: the table then also gives their paired differences to the
first of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from nas_attn.budget import Budget
from nas_attn.data import Dataset, read_folder, smears
from nas_attn.errors import NasAttnError, SpaceError, did_you_mean
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Placement, Stage
from nas_attn.training import DeviceImages, Precision, Recipe, Segmenter, initialise, score_images, train_run
from nas_attn.training.evaluation import pack_sets

LEAST_GAIN = 0.01
"""IoU; a doubling that gains less counts as no gain, however quiet the seeds are."""
MOST_NOISE = 0.02
"""IoU; where seeds differ by more, some runs have not yet found the task."""


@dataclass(frozen=True)
class Point:
    """One row of the table.

    Args:
        attention: what was asked for.
        steps: of each run.
        ious: mean IoU on the validation images, one for each seed.
        cpu_seconds: of one run, its evaluation included, on average.
    """

    attention: str
    steps: int
    ious: tuple[float, ...]
    cpu_seconds: float

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.ious)

    @property
    def sd(self) -> float:
        """Between the seeds; nan with a single one."""
        return statistics.stdev(self.ious) if len(self.ious) > 1 else float("nan")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, print, and say whether the last doubling still gained."""
    asked = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        points: list[Point] = []
        for point in _points(asked):
            points.append(point)
            if not asked.json:
                print(_row(point, points), flush=True)
    except NasAttnError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps([asdict(point) for point in points], indent=1) if asked.json else _verdicts(points))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="synthetic", help="'synthetic' or a folder of images and masks")
    parser.add_argument(
        "--attention", action="append", metavar="KIND[@STAGE]", help="plain, se, scse@decoder, ..."
    )
    parser.add_argument("--steps", type=_numbers, default=(25, 50, 100, 200, 400, 800), help="such as 50,100,200")
    parser.add_argument("--seeds", type=int, default=3, help="runs per budget")
    parser.add_argument("--base-channels", type=int, default=8)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--image-size", type=int, default=32, help="side of the crops, in pixels")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--n-train", type=int, default=256, help="synthetic training images")
    parser.add_argument("--n-val", type=int, default=96, help="synthetic validation images")
    parser.add_argument("--longest-side", type=int, default=None, help="shrink larger images of a folder to this")
    parser.add_argument("--learning-rate", type=float, default=Recipe.peak_learning_rate)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _points(asked: argparse.Namespace) -> Iterator[Point]:
    data = _read(asked)
    network = UNetConfig(data.in_channels, len(data.classes), asked.depth, asked.base_channels)
    device = torch.device(asked.device)
    sets = pack_sets(data, device)
    for text in asked.attention or ["plain"]:
        placement = _placement(text, network)
        for steps in asked.steps:
            budget = Budget(steps, asked.image_size, asked.batch_size)
            started = time.process_time()
            ious = tuple(
                _iou(network, placement, budget, seed, sets.train, sets.val, asked) for seed in range(asked.seeds)
            )
            yield Point(text, steps, ious, (time.process_time() - started) / asked.seeds)


def _read(asked: argparse.Namespace) -> Dataset:
    if asked.data == "synthetic":
        return smears(image_size=asked.image_size, n_train=asked.n_train, n_val=asked.n_val, n_test=1)
    return read_folder(Path(asked.data), longest_side=asked.longest_side)


def _placement(text: str, network: UNetConfig) -> Placement:
    """The attention wherever it may stand, or wherever it may in one stage."""
    attention, _, stage = text.partition("@")
    spec = AttentionSpec.parse("none" if attention == "plain" else attention)
    kinds = catalogue()
    if spec.kind not in kinds:
        raise SpaceError(f"--attention {text}: unknown attention '{spec.kind}'; {did_you_mean(spec.kind, kinds)}")
    stages = [str(known) for known in Stage]
    if stage and stage not in stages:
        raise SpaceError(f"--attention {text}: unknown stage '{stage}'; {did_you_mean(stage, stages)}")
    allowed = [known for known in kinds[spec.kind].stages if stage in ("", str(known))]
    return Placement.of({place: spec if place.stage in allowed else NONE for place in network.locations})


def _iou(
    network: UNetConfig,
    placement: Placement,
    budget: Budget,
    seed: int,
    train: DeviceImages,
    val: DeviceImages,
    asked: argparse.Namespace,
) -> float:
    precision = Precision(bfloat16=asked.bfloat16, channels_last=True)
    module: torch.nn.Module = build_unet(network, placement)
    initialise(module, seed)
    module = precision.place(module, train.pixels.device)
    recipe = Recipe(peak_learning_rate=asked.learning_rate)
    train_run(module, train, budget, seed, recipe=recipe, precision=precision)
    return score_images(Segmenter(module, val.mean, val.std, precision=precision), val, network.classes).iou


def _row(point: Point, points: Sequence[Point]) -> str:
    """The point as a line; with its paired difference to the first attention at the same budget."""
    seeds = " ".join(f"{iou:.4f}" for iou in point.ious)
    row = f"{point.attention:<24} {point.steps:>6} steps   IoU {point.mean:.4f}   sd {point.sd:.4f}   ({seeds})"
    row += f"   {point.cpu_seconds:.1f} CPU-s"
    reference = next(other for other in points if other.steps == point.steps)
    if reference is point:
        return row
    differences = [100 * (ours - theirs) for ours, theirs in zip(point.ious, reference.ious, strict=True)]
    shown = " ".join(f"{value:+.2f}" for value in differences)
    return f"{row}   {statistics.fmean(differences):+.2f} points to {reference.attention} ({shown})"


def _verdicts(points: Sequence[Point]) -> str:
    names = dict.fromkeys(point.attention for point in points)
    return "\n".join(_verdict([point for point in points if point.attention == name]) for name in names)


def _verdict(points: Sequence[Point]) -> str:
    if len(points) < 2:
        return f"{points[0].attention}: one budget only; whether it is long enough cannot be said"
    before, last = points[-2:]
    gain, noise = last.mean - before.mean, _noise(before, last)
    if noise > MOST_NOISE:
        judgement = "the seeds still disagree: take more steps"
    elif gain <= max(LEAST_GAIN, noise):
        judgement = f"{before.steps} steps are enough"
    else:
        judgement = f"{before.steps} steps are too few"
    return (
        f"{last.attention}: {before.steps} -> {last.steps} steps gains {100 * gain:+.2f} points "
        f"(seed noise {100 * noise:.2f}); {judgement}"
    )


def _noise(*points: Point) -> float:
    """The larger sd; 0 where there is a single seed."""
    return max((point.sd for point in points if len(point.ious) > 1), default=0.0)


if __name__ == "__main__":
    raise SystemExit(main())
